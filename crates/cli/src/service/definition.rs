//! How each system is told to run the monitor as a service: pure text.

use std::path::{Path, PathBuf};

use host::Profile;

use super::args::{Platform, ServiceMode};

/// The name of the service wherever names are short.
pub(crate) const NAME: &str = "claude-mpm-monitor";

/// The name under which claude-mpm's standalone server was installed.
pub(crate) const WRAPPER: &str = "claude-mpm-socketio";

/// The service's name on macOS.
const LABEL: &str = "com.claude-mpm.monitor";

/// What is to run.
#[derive(Debug)]
pub(crate) struct Definition<'a> {
    pub(crate) platform: Platform,
    pub(crate) mode: ServiceMode,
    pub(crate) profile: Profile,
    /// The absolute path of the executable.
    pub(crate) exe: &'a Path,
    /// The home that the service uses, when it is not the one that it would use anyway.
    pub(crate) home: Option<&'a Path>,
    /// Whether the service can be called by claude-mpm's name too.
    pub(crate) wrapper: bool,
}

impl Definition<'_> {
    /// The text of the unit, property list or task.
    pub(crate) fn text(&self) -> String {
        match self.platform {
            Platform::Systemd => self.systemd(),
            Platform::Launchd => self.launchd(),
            Platform::Windows => self.windows(),
        }
    }

    /// Where it belongs. `config` is the folder of this user's own configuration.
    pub(crate) fn path(&self, user_home: &Path, config: &Path) -> PathBuf {
        match (self.platform, self.mode) {
            (Platform::Systemd, ServiceMode::User) => config.join(format!("systemd/user/{NAME}.service")),
            (Platform::Systemd, ServiceMode::System) => format!("/etc/systemd/system/{NAME}.service").into(),
            (Platform::Launchd, ServiceMode::User) => {
                user_home.join(format!("Library/LaunchAgents/{LABEL}.plist"))
            }
            (Platform::Launchd, ServiceMode::System) => {
                format!("/Library/LaunchDaemons/{LABEL}.plist").into()
            }
            (Platform::Windows, _) => config.join(format!("{NAME}.xml")),
        }
    }

    /// The commands that make the system know the service and start it.
    pub(crate) fn enable(&self, path: &Path) -> Vec<Vec<String>> {
        let path = path.display().to_string();
        match self.platform {
            Platform::Systemd => {
                vec![self.systemctl(&["daemon-reload"]), self.systemctl(&["enable", "--now", NAME])]
            }
            Platform::Launchd => vec![words(&["launchctl", "load", "-w", &path])],
            Platform::Windows => vec![
                words(&["schtasks", "/Create", "/F", "/TN", NAME, "/XML", &path]),
                words(&["schtasks", "/Run", "/TN", NAME]),
            ],
        }
    }

    /// The commands that stop the service, before its file goes.
    pub(crate) fn disable(&self, path: &Path) -> Vec<Vec<String>> {
        match self.platform {
            Platform::Systemd => vec![self.systemctl(&["disable", "--now", NAME])],
            Platform::Launchd => vec![words(&["launchctl", "unload", "-w", &path.display().to_string()])],
            Platform::Windows => vec![
                words(&["schtasks", "/End", "/TN", NAME]),
                words(&["schtasks", "/Delete", "/F", "/TN", NAME]),
            ],
        }
    }

    /// The command that tells whether it runs.
    pub(crate) fn ask(&self) -> Vec<String> {
        match self.platform {
            Platform::Systemd => self.systemctl(&["is-active", NAME]),
            Platform::Launchd => words(&["launchctl", "list", LABEL]),
            Platform::Windows => words(&["schtasks", "/Query", "/TN", NAME]),
        }
    }

    fn systemctl(&self, arguments: &[&str]) -> Vec<String> {
        let user: &[&str] = if self.mode == ServiceMode::User { &["--user"] } else { &[] };
        words(&[&["systemctl"], user, arguments].concat())
    }

    fn systemd(&self) -> String {
        let exe = systemd_quoted(&self.exe.display().to_string());
        let profile = self.profile;
        let home = self.home.map(|home| {
            let assignment = format!("CLAUDE_MPM_HOME={}", home.display());
            format!("Environment={}\n", systemd_quoted(&assignment))
        });
        let home = home.unwrap_or_default();
        // A system service gets a user of its own, who owns nothing but the state folder.
        let (user, wanted_by) = match self.mode {
            ServiceMode::User => ("", "default.target"),
            ServiceMode::System => (
                "DynamicUser=yes\nStateDirectory=claude-mpm\nStateDirectoryMode=0700\n\
                 ProtectSystem=strict\nProtectHome=yes\nPrivateDevices=yes\n",
                "multi-user.target",
            ),
        };
        let alias = if self.wrapper { format!("Alias={WRAPPER}.service\n") } else { String::new() };
        format!(
            "[Unit]\n\
             Description=Claude MPM monitor: shows live what Claude Code does\n\
             StartLimitIntervalSec=60\n\
             StartLimitBurst=3\n\
             \n\
             [Service]\n\
             Type=exec\n\
             ExecStart={exe} start --foreground --profile {profile}\n\
             {home}{user}\
             Restart=on-failure\n\
             RestartSec=1\n\
             TimeoutStopSec=15\n\
             UMask=0077\n\
             NoNewPrivileges=yes\n\
             \n\
             [Install]\n\
             WantedBy={wanted_by}\n\
             {alias}"
        )
    }

    fn launchd(&self) -> String {
        let argument = |text: &str| format!("    <string>{}</string>\n", xml(text));
        let exe = self.exe.display().to_string();
        let arguments: String =
            [exe.as_str(), "start", "--foreground", "--profile", self.profile.name()].map(argument).concat();
        let variable =
            |name: &str, value: &str| format!("    <key>{name}</key>\n    <string>{}</string>\n", xml(value));
        // The system keeps what a service writes without any limit; our own log has one.
        let mut variables = variable("CLAUDE_MPM_MONITOR_LOG_TO_FILE", "true");
        if let Some(home) = self.home {
            variables += &variable("CLAUDE_MPM_HOME", &home.display().to_string());
        }
        format!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}  </array>
  <key>EnvironmentVariables</key>
  <dict>
{variables}  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ProcessType</key>
  <string>Background</string>
</dict>
</plist>
"#
        )
    }

    fn windows(&self) -> String {
        let exe = xml(&self.exe.display().to_string());
        let profile = self.profile;
        let (trigger, principal) = match self.mode {
            ServiceMode::User => ("LogonTrigger", "<LogonType>InteractiveToken</LogonType>"),
            ServiceMode::System => ("BootTrigger", "<UserId>S-1-5-19</UserId>"),
        };
        format!(
            r#"<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo>
    <Description>Claude MPM monitor: shows live what Claude Code does</Description>
  </RegistrationInfo>
  <Triggers>
    <{trigger}><Enabled>true</Enabled></{trigger}>
  </Triggers>
  <Principals>
    <Principal id="Author">{principal}</Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>3</Count></RestartOnFailure>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>{exe}</Command>
      <Arguments>start --foreground --profile {profile}</Arguments>
    </Exec>
  </Actions>
</Task>
"#
        )
    }
}

/// A script of claude-mpm's name that hands everything on.
pub(crate) fn wrapper_script(exe: &Path) -> String {
    let exe = exe.display().to_string().replace('\'', r"'\''");
    format!("#!/bin/sh\n# {WRAPPER}: the Claude MPM monitor under its former name.\nexec '{exe}' \"$@\"\n")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// One word for a unit file, whatever is in it.
fn systemd_quoted(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('"', r#"\""#).replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(platform: Platform, mode: ServiceMode, exe: &str) -> Definition<'_> {
        let (profile, home, wrapper) = (Profile::Production, None, false);
        Definition { platform, mode, profile, exe: Path::new(exe), home, wrapper }
    }

    #[test]
    fn a_path_of_any_letters_is_one_word_of_the_definition() {
        let odd = r#"/opt/100% "own" $HOME\tools & <more>/monitor"#;
        let systemd = definition(Platform::Systemd, ServiceMode::User, odd).text();
        let expected = r#"ExecStart="/opt/100%% \"own\" $$HOME\\tools & <more>/monitor" start --foreground --profile production"#;
        assert!(systemd.lines().any(|line| line == expected), "{systemd}");
        for platform in [Platform::Launchd, Platform::Windows] {
            let text = definition(platform, ServiceMode::User, odd).text();
            assert!(text.contains(r#">/opt/100% "own" $HOME\tools &amp; &lt;more&gt;/monitor<"#), "{text}");
        }
        assert!(wrapper_script(Path::new("/it's/here")).contains(r"exec '/it'\''s/here' "));
    }

    #[test]
    fn each_mode_belongs_elsewhere() {
        let path = |platform, mode| {
            definition(platform, mode, "/m")
                .path(Path::new("/u"), Path::new("/u/.config"))
                .display()
                .to_string()
        };
        use {
            Platform::{Launchd, Systemd, Windows},
            ServiceMode::{System, User},
        };
        assert_eq!(path(Systemd, User), "/u/.config/systemd/user/claude-mpm-monitor.service");
        assert_eq!(path(Systemd, System), "/etc/systemd/system/claude-mpm-monitor.service");
        assert_eq!(path(Launchd, User), "/u/Library/LaunchAgents/com.claude-mpm.monitor.plist");
        assert_eq!(path(Launchd, System), "/Library/LaunchDaemons/com.claude-mpm.monitor.plist");
        assert_eq!(path(Windows, User), "/u/.config/claude-mpm-monitor.xml");
    }
}
