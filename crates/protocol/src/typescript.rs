//! Keeps `ui/src/lib/protocol.ts` equal to the Rust types: the test fails when it is stale.
//! `UPDATE=1 cargo test -p protocol typescript` writes it anew.

use std::path::Path;

use ts_rs::{Config, TS};

use crate::configuration::{Configuration, Place, Setting};
use crate::detail::{
    Agent, AgentStatus, BackgroundTask, CallEnd, Failure, FileUse, Outcome, Parent, Plan, SessionDetail,
    Todo, TodoStatus, ToolCall, TouchedFile, Turn, TurnEnd,
};
use crate::figures::{Bucket, Figures, Share, Spread};
use crate::health::{CaptureHealth, ClientInfo, HealthStats, Rebuild};
use crate::hooks::{
    Hooks, HooksAction, HooksFile, HooksOrder, HooksProblem, HooksReport, PlannedChange, Scope,
};
use crate::instance::{Instance, LegacyServer};
use crate::session::{AgentCount, Ask, CurrentCall, Progress, SessionCounts, State, Status, Tokens};
use crate::spool::SpoolHealth;
use crate::stream::{Batch, Filter, Gap, SessionsChanged, Snapshot, Subscribe};
use crate::{
    AgentId, ErrorBody, EventId, Health, Kind, Row, Seq, Session, SessionId, Source, Timestamp, ToolUseId,
};

const HEADER: &str =
    "// Generated from crates/protocol by `UPDATE=1 cargo test -p protocol typescript`. Do not edit.\n";

fn generated() -> String {
    let mut out = HEADER.to_owned();
    let config = Config::default();
    macro_rules! declare {
        ($($name:ty),*) => {
            $(
                let docs = <$name>::docs().unwrap_or_default();
                out += &format!("\n{}export {}\n", docs, <$name>::decl(&config));
            )*
        };
    }
    declare!(
        Timestamp,
        Seq,
        EventId,
        SessionId,
        AgentId,
        ToolUseId,
        Kind,
        Source,
        Row,
        Session,
        Status,
        State,
        Ask,
        CurrentCall,
        AgentCount,
        Progress,
        SessionCounts,
        Tokens,
        SessionDetail,
        Agent,
        Parent,
        AgentStatus,
        ToolCall,
        CallEnd,
        Outcome,
        Todo,
        TodoStatus,
        Plan,
        TouchedFile,
        FileUse,
        Failure,
        BackgroundTask,
        Turn,
        TurnEnd,
        Subscribe,
        Filter,
        Snapshot,
        Batch,
        Gap,
        SessionsChanged,
        Configuration,
        Setting,
        Place,
        Instance,
        LegacyServer,
        Health,
        HealthStats,
        Rebuild,
        CaptureHealth,
        SpoolHealth,
        Figures,
        Bucket,
        Spread,
        Share,
        ClientInfo,
        Hooks,
        PlannedChange,
        HooksOrder,
        HooksAction,
        HooksReport,
        HooksFile,
        Scope,
        HooksProblem,
        ErrorBody
    );
    out
}

#[test]
fn the_typescript_types_of_the_dashboard_are_those_of_the_protocol() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ui/src/lib/protocol.ts");
    let generated = generated();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().expect("the file has a folder")).expect("folder is writable");
        std::fs::write(&file, &generated).expect("file is writable");
    }
    let current = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        current == generated,
        "ui/src/lib/protocol.ts is stale: run UPDATE=1 cargo test -p protocol typescript"
    );
}
