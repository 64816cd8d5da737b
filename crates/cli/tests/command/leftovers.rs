//! What a start or a command leaves that is cut off at any moment, and that the next one takes it away: all of ours, and
//! nothing of the user's.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::supervision::{is_gone, processes};
use crate::support::{Desk, Foreground, free_port, hook, wait_for};

/// How the name of a half-written file begins.
const DRAFT: &str = ".claude-mpm-draft-";

/// The names in a folder, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn drafts(folder: &Path) -> usize {
    names(folder).iter().filter(|name| name.starts_with(DRAFT) && name.ends_with(".tmp")).count()
}

/// Runs a command that the system kills as soon as it writes into a file, thus in the middle of one.
#[track_caller]
fn cut_off_while_it_writes(desk: &Desk, line: &str) {
    let command = desk.command(line);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -c 0; ulimit -f 0; exec \"$@\"", "sh"]);
    limited.arg(command.get_program()).args(command.get_args());
    limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = limited.output().unwrap();
    assert_eq!(ended.status.signal(), Some(Signal::XFSZ.as_raw()), "{line}: {ended:?}");
}

/// Files of the user's that look like ours from afar.
fn of_the_user(desk: &Desk) -> Vec<PathBuf> {
    let folders = [desk.home.folder().to_owned(), desk.home.monitor(), desk.home.run(), desk.path(".claude")];
    let names =
        [".claude-mpm-draft-mine.md", ".claude-mpm-draft-.tmp", ".draft-abc123.tmp", "notes.json", "8765"];
    folders.iter().flat_map(|folder| names.map(|name| folder.join(name))).collect()
}

#[test]
fn what_is_cut_off_in_the_middle_of_a_file_is_taken_away_by_the_next_and_nothing_of_the_users() {
    hook();
    let desk = Desk::new();
    let claude = desk.path(".claude");
    for folder in [desk.home.run(), claude.clone()] {
        fs::create_dir_all(folder).unwrap();
    }
    let kept = of_the_user(&desk);
    kept.iter().for_each(|file| fs::write(file, "mine").unwrap());
    let mine = drafts(&claude);
    fs::write(claude.join("settings.json"), "{}\n").unwrap();
    fs::write(desk.home.run().join("1234.json"), "{ \"pid\": ").unwrap();

    cut_off_while_it_writes(&desk, "token rotate");
    assert_eq!(drafts(&desk.home.monitor()), mine + 1, "{:?}", names(&desk.home.monitor()));
    cut_off_while_it_writes(&desk, "config init");
    assert_eq!(drafts(desk.home.folder()), mine + 1, "{:?}", names(desk.home.folder()));

    assert_eq!(desk.run("start").code, Some(0));
    for folder in [desk.home.folder().to_owned(), desk.home.monitor(), desk.home.run()] {
        assert_eq!(drafts(&folder), mine, "{}: {:?}", folder.display(), names(&folder));
    }
    assert!(!desk.home.runfile(1234).exists(), "half a runfile is one that no server stands behind");
    assert_eq!(desk.run("health").code, Some(0));
    assert_eq!(desk.run("hooks install --claude-version 2.1.240").code, Some(0));
    assert_eq!(desk.run("stop").code, Some(0));
    for file in kept {
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine", "{}", file.display());
    }
}

#[test]
fn an_install_that_is_cut_off_leaves_the_settings_and_the_next_one_clears_up() {
    hook();
    let desk = Desk::new();
    let claude = desk.path(".claude");
    fs::create_dir_all(&claude).unwrap();
    fs::write(claude.join("settings.json"), "{}\n").unwrap();
    let all = || {
        [claude.clone(), desk.home.folder().to_owned(), desk.home.monitor(), desk.home.monitor().join("bin")]
    };
    let left = || all().iter().map(|folder| drafts(folder)).sum::<usize>();
    cut_off_while_it_writes(&desk, "hooks install --claude-version 2.1.240");
    assert_eq!(left(), 1);
    assert_eq!(fs::read_to_string(claude.join("settings.json")).unwrap(), "{}\n", "as it was");
    let ran = desk.run("hooks install --claude-version 2.1.240");
    assert_eq!((ran.code, left()), (Some(0), 0), "{ran:?}");
}

#[test]
fn after_a_start_that_is_killed_at_any_moment_the_next_one_serves_and_nothing_of_it_lies_about() {
    for moment in 0..8 {
        let desk = Desk::new();
        let start = desk.command("start").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let start = Foreground::of(start);
        // From the first process that is there to a server that serves.
        let is_there = || match moment {
            0 => desk.home.run().exists(),
            1 => !processes(&desk, "--role=supervisor").is_empty(),
            2 => desk.home.supervisor(desk.port).exists(),
            3 => !processes(&desk, "--role=server").is_empty(),
            4 => desk.home.lock(desk.port).exists(),
            5 => desk.home.database().exists(),
            6 => desk.home.runfile(desk.port).exists(),
            _ => desk.run("health").code == Some(0),
        };
        wait_for(|| is_there().then_some(())).unwrap_or_else(|| panic!("moment {moment}"));
        start.signal(Signal::KILL);
        // The supervisor first: it would start another server. One that is only being started has its parent's name still.
        let all_gone = wait_for(|| {
            for role in ["--role=supervisor", ""] {
                let there = processes(&desk, role);
                for pid in there.iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
                    // It may have ended by itself: who starts it is gone.
                    let _ = kill_process(pid, Signal::KILL);
                }
                assert!(there.into_iter().all(is_gone), "moment {moment}");
            }
            processes(&desk, "").is_empty().then_some(())
        });
        assert!(all_gone.is_some(), "moment {moment}: {:?}", processes(&desk, ""));
        start.ended();

        let other = free_port();
        assert_eq!(desk.run(&format!("start --port {other}")).code, Some(0), "moment {moment}");
        assert_eq!(desk.run("health").code, Some(0), "moment {moment}");
        let run = names(&desk.home.run());
        let stays = |name: &String| {
            // A lock stays for whoever serves the port next.
            name.starts_with(&format!("{other}.")) || *name == format!("{}.lock", desk.port)
        };
        assert!(run.iter().all(stays), "moment {moment}: {run:?}");
        assert_eq!(drafts(&desk.home.monitor()) + drafts(desk.home.folder()), 0, "moment {moment}");
        assert_eq!(desk.run("stop").code, Some(0), "moment {moment}");
    }
}
