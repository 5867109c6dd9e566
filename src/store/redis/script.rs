//! The Lua scripts: each is one atomic step.

use std::sync::LazyLock;

use redis::{Arg, Cmd, ToRedisArgs};

/// Room in a call beside the keys, for what most scripts are told, so that it is found at once.
const MORE_ARGUMENTS: usize = 16;
/// The same in bytes.
const MORE_BYTES: usize = 1024;
/// What a key takes, in bytes.
const BYTES_OF_KEY: usize = 128;

/// A script with the digest under which servers know it.
pub(super) struct Script {
    /// What it is called where calls are told.
    pub(super) name: &'static str,
    source: String,
    digest: String,
}

impl Script {
    /// Joins the parts that scripts share with the script's own. Each has only those it needs, since a
    /// server makes their functions anew at every call.
    fn new(name: &'static str, parts: &[&str]) -> Self {
        let source = parts.join("\n");
        let digest = redis::Script::new(&source).get_hash().to_owned();
        Self { name, source, digest }
    }

    /// A call of this script on these keys; arguments follow by [`Cmd::arg`].
    pub(super) fn call<K: ToRedisArgs>(&self, keys: &[K]) -> Cmd {
        let mut call = Cmd::with_capacity(keys.len() + MORE_ARGUMENTS, MORE_BYTES + keys.len() * BYTES_OF_KEY);
        call.arg("EVALSHA").arg(&self.digest).arg(keys.len()).arg(keys);
        call
    }

    /// The same call with the source in place of the digest, which also makes the server know it. It
    /// goes where the call itself goes, to the right node of a Cluster.
    pub(super) fn with_source(&self, call: &Cmd) -> Cmd {
        let mut eval = redis::cmd("EVAL");
        eval.arg(&self.source);
        for arg in call.args_iter().skip(2) {
            if let Arg::Simple(bytes) = arg {
                eval.arg(bytes);
            }
        }
        eval
    }
}

macro_rules! scripts {
    ($($name:ident = $file:literal [$($part:literal)*]),+ $(,)?) => {$(
        pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new($file, &[
                $(include_str!(concat!("scripts/", $part, ".lua")),)*
                include_str!(concat!("scripts/", $file, ".lua")),
            ])
        });
    )+};
}

scripts! {
    AUTHORIZE = "authorize" ["base" "limit" "touch" "gate"],
    COUNT_USE = "count_use" [],
    CREATE_SESSION = "create_session" ["base"],
    CLAIM_CHANNEL = "claim_channel" [],
    SETTLE_CHANNEL = "settle_channel" [],
    RELEASE_CHANNEL = "release_channel" [],
    PUT_CHANNEL = "put_channel" [],
    DELETE_CHANNEL = "delete_channel" [],
    CHANNELS = "channels" ["base" "limit" "touch" "gate"],
    // The same script twice: messages of generic webhooks are spared the functions they do not need.
    APPEND_MESSAGE = "append_message" ["base" "limit" "append"],
    APPEND_EVENT = "append_message" ["base" "limit" "append" "conversations"],
    POLL_MESSAGES = "poll_messages" ["base" "limit" "touch" "gate" "read"],
    READ_MESSAGES = "read_messages" ["base" "read"],
    APPEND_REPLY = "append_reply" ["base" "limit" "touch" "gate" "append" "conversations"],
    FIND_CONVERSATION = "find_conversation" ["base" "conversations"],
    ANNOUNCE_DUE = "announce_due" ["base" "listing"],
    CLAIM_DUE = "claim_due" ["base" "due"],
    RELEASE_DUE = "release_due" ["base" "due"],
    LIST_REPLY = "list_reply" ["base" "listing"],
    UNLIST_REPLIES = "unlist_replies" ["listing"],
    CORRECT_LISTING = "correct_listing" ["base" "listing"],
    COUNT_LISTED = "count_listed" ["base" "listing"],
    READ_LISTED = "read_listed" ["base"],
    FIND_LISTED = "find_listed" ["base"],
    READ_DELIVERY = "read_delivery" ["base"],
    REDRIVE = "redrive" ["base"],
    DROP_REPLY = "drop_reply" ["base"],
    TAKE_DELIVERY = "take_delivery" ["base"],
    SETTLE_DELIVERY = "settle_delivery" ["base"],
    HOLD_IDENTITY = "hold_identity" [],
    DROP_IDENTITY = "drop_identity" [],
    REPLY_STATUS = "reply_status" ["base" "limit" "touch" "gate"],
    READ_RESPONSES = "read_responses" ["base" "limit" "read"],
    HOLD_SOCKET = "hold_socket" ["base" "touch" "read"],
    AGREE_ON_FORMAT = "agree_on_format" ["base"],
    BEAT = "beat" ["base"],
    PULSE = "pulse" ["base"],
    OPEN_ADMIN_SESSION = "open_admin_session" ["base"],
    HAS_ADMIN_SESSION = "has_admin_session" ["base"],
    CLOSE_ADMIN_SESSIONS = "close_admin_sessions" ["base"],
    AUDIT = "audit" ["base"],
    USE_SESSION = "use_session" ["base" "touch"],
    FORGET_REPLIES = "forget_replies" [],
    LIST_SESSION = "list_session" ["base" "directory"],
    LIST_CHANNEL = "list_channel" ["directory"],
    LIST_USE = "list_use" [],
    UNLIST_SESSION = "unlist_session" ["directory"],
    LIST_PAGE = "list_page" [],
    FIND_NAMES = "find_names" [],
    SUMMARY = "summary" ["base"],
    DISCONNECT = "disconnect" ["base"],
    HISTORY = "history" ["base"],
    HISTORY_ENTRY = "history_entry" ["base"],
    REPLY_STATES = "reply_states" [],
    VIEW_KEY = "view_key" [],
    REPLACE_FIELD = "replace_field" [],
    REPLACE_VALUE = "replace_value" [],
}
