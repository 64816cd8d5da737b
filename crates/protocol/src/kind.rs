//! What can happen: Claude Code's hook events, claude-mpm's own events, and any other name as data.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest kind name kept of an unknown kind, in bytes.
const OTHER_BYTES_MAX: usize = 100;

/// An enum of names with their wire spelling, and the way back.
macro_rules! names {
    ($(#[$doc:meta])* $enum:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $enum {
            /// Every one, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The one of exactly that name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

names!(
    /// Claude Code's hook events, under its own names.
    HookEvent {
        /// A session starts, resumes, is cleared, compacted or forked.
        SessionStart = "SessionStart",
        /// `claude --init` or `--maintenance`.
        Setup = "Setup",
        /// A CLAUDE.md or rule file entered the context.
        InstructionsLoaded = "InstructionsLoaded",
        /// The user sent a prompt.
        UserPromptSubmit = "UserPromptSubmit",
        /// A slash command became a prompt.
        UserPromptExpansion = "UserPromptExpansion",
        /// Assistant text is shown.
        MessageDisplay = "MessageDisplay",
        /// A tool is about to run.
        PreToolUse = "PreToolUse",
        /// Claude is about to ask for permission.
        PermissionRequest = "PermissionRequest",
        /// Auto mode denied a tool call.
        PermissionDenied = "PermissionDenied",
        /// A tool succeeded.
        PostToolUse = "PostToolUse",
        /// A tool failed.
        PostToolUseFailure = "PostToolUseFailure",
        /// A batch of parallel tool calls ended.
        PostToolBatch = "PostToolBatch",
        /// Claude Code notified the user.
        Notification = "Notification",
        /// A subagent starts.
        SubagentStart = "SubagentStart",
        /// A subagent ended.
        SubagentStop = "SubagentStop",
        /// A task was put on the list.
        TaskCreated = "TaskCreated",
        /// A task on the list is done.
        TaskCompleted = "TaskCompleted",
        /// A turn ended.
        Stop = "Stop",
        /// A turn ended with an API error.
        StopFailure = "StopFailure",
        /// A teammate has nothing to do.
        TeammateIdle = "TeammateIdle",
        /// A settings file changed.
        ConfigChange = "ConfigChange",
        /// The working directory changed.
        CwdChanged = "CwdChanged",
        /// A directory joined the session.
        DirectoryAdded = "DirectoryAdded",
        /// A watched file changed.
        FileChanged = "FileChanged",
        /// A worktree is being made.
        WorktreeCreate = "WorktreeCreate",
        /// A worktree was removed.
        WorktreeRemove = "WorktreeRemove",
        /// The context is about to be compacted.
        PreCompact = "PreCompact",
        /// The context was compacted.
        PostCompact = "PostCompact",
        /// An MCP server asks the user.
        Elicitation = "Elicitation",
        /// The user answered an MCP server.
        ElicitationResult = "ElicitationResult",
        /// A session ended.
        SessionEnd = "SessionEnd",
    }
);

names!(
    /// Events that only claude-mpm's hooks send; its other subtypes are Claude Code's events under another
    /// name.
    MpmEvent {
        /// The todo list changed.
        TodoUpdated = "todo_updated",
        /// Token counts of a turn.
        TokenUsageUpdated = "token_usage_updated",
        /// Its hook ran: a report about another event.
        HookExecution = "hook_execution",
        /// Its hook received a prompt.
        CommandAcknowledged = "command_acknowledged",
        /// Assistant text.
        AssistantResponse = "assistant_response",
    }
);

/// claude-mpm's subtypes for Claude Code's events; the first of each event is the one we write.
const SUBTYPES: &[(&str, HookEvent)] = &[
    ("session_start", HookEvent::SessionStart),
    ("session_end", HookEvent::SessionEnd),
    ("user_prompt", HookEvent::UserPromptSubmit),
    ("user_prompt_submit", HookEvent::UserPromptSubmit),
    ("pre_tool", HookEvent::PreToolUse),
    ("pre_tool_use", HookEvent::PreToolUse),
    ("post_tool", HookEvent::PostToolUse),
    ("post_tool_use", HookEvent::PostToolUse),
    ("post_tool_use_failure", HookEvent::PostToolUseFailure),
    ("subagent_start", HookEvent::SubagentStart),
    ("subagent_stop", HookEvent::SubagentStop),
    ("stop", HookEvent::Stop),
    ("stop_failure", HookEvent::StopFailure),
    ("notification", HookEvent::Notification),
    ("permission_request", HookEvent::PermissionRequest),
    ("permission_denied", HookEvent::PermissionDenied),
    ("worktree_create", HookEvent::WorktreeCreate),
    ("worktree_remove", HookEvent::WorktreeRemove),
    ("config_change", HookEvent::ConfigChange),
    ("teammate_idle", HookEvent::TeammateIdle),
    ("task_created", HookEvent::TaskCreated),
    ("task_completed", HookEvent::TaskCompleted),
    ("pre_compact", HookEvent::PreCompact),
    ("post_compact", HookEvent::PostCompact),
];

impl HookEvent {
    /// claude-mpm's name for it, in snake case for those that it has none for.
    pub fn subtype(self) -> String {
        let known = SUBTYPES.iter().find(|(_, event)| *event == self);
        known.map_or_else(|| snake_case(self.as_str()), |(name, _)| (*name).to_owned())
    }
}

/// What happened. Unknown kinds are data, never an error.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(test, derive(ts_rs::TS), ts(type = "string"))]
pub enum Kind {
    /// One of Claude Code's hook events.
    Hook(HookEvent),
    /// One of claude-mpm's own events.
    Mpm(MpmEvent),
    /// Any other name.
    Other(String),
}

impl Kind {
    /// The kind of a name in any spelling in use: Claude Code's, claude-mpm's, `hook.` in front of either.
    pub fn from_name(name: &str) -> Self {
        let bare = name.strip_prefix("hook.").unwrap_or(name);
        if let Some(event) = HookEvent::from_name(bare).or_else(|| subtype(bare)) {
            return Self::Hook(event);
        }
        let own = MpmEvent::from_name(bare).or_else(|| MpmEvent::from_name(&snake_case(bare)));
        own.map_or_else(|| Self::other(name), Self::Mpm)
    }

    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Hook(event) => event.as_str(),
            Self::Mpm(event) => event.as_str(),
            Self::Other(name) => name,
        }
    }

    /// claude-mpm's name for it.
    pub fn subtype(&self) -> String {
        match self {
            Self::Hook(event) => event.subtype(),
            Self::Mpm(event) => event.as_str().to_owned(),
            Self::Other(name) => name.clone(),
        }
    }

    fn other(name: &str) -> Self {
        let name = name.trim();
        let mut end = name.len().min(OTHER_BYTES_MAX);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        if end == 0 { Self::Other("unknown".to_owned()) } else { Self::Other(name[..end].to_owned()) }
    }
}

fn subtype(name: &str) -> Option<HookEvent> {
    SUBTYPES.iter().find(|(known, _)| *known == name).map(|(_, event)| *event)
}

/// `PermissionDenied` → `permission_denied`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for (at, c) in name.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_name(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_code_has_31_hook_events_and_each_name_leads_back_to_itself() {
        assert_eq!(HookEvent::ALL.len(), 31);
        for event in HookEvent::ALL {
            assert_eq!(Kind::from_name(event.as_str()), Kind::Hook(*event));
            assert!(!event.subtype().contains(char::is_uppercase), "subtypes are snake case");
        }
    }

    #[test]
    fn every_spelling_of_a_kind_is_the_same_kind() {
        for name in ["PreToolUse", "pre_tool", "pre_tool_use", "hook.pre_tool"] {
            assert_eq!(Kind::from_name(name), Kind::Hook(HookEvent::PreToolUse), "{name}");
        }
        assert_eq!(Kind::from_name("todo_updated"), Kind::Mpm(MpmEvent::TodoUpdated));
    }

    #[test]
    fn an_unknown_kind_is_kept_as_data() {
        assert_eq!(Kind::from_name("memory:loaded").as_str(), "memory:loaded");
        assert_eq!(Kind::from_name("").as_str(), "unknown");
        assert_eq!(Kind::from_name(&"ü".repeat(100)).as_str().len(), OTHER_BYTES_MAX);
    }
}
