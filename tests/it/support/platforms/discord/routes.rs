//! The calls there are, and who may make them.

use serde_json::{Value, json};

use super::{AppState, Discord, body, commands, interaction, messages, not_found, object, unauthorized, verifying};
use crate::support::platforms::server::{Answer, Request};

/// A call that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    GetApplication,
    GetOAuth2Application,
    EditApplication,
    GetUser,
    GetCommands { app: String },
    PutCommands { app: String },
    PostCommand { app: String },
    DeleteCommand { app: String, id: String },
    CreateMessage { channel: String },
    TriggerTyping { channel: String },
    EditOriginal { app: String, token: String },
    FollowUp { app: String, token: String },
}

impl Route {
    /// The call that a request is.
    pub fn of(request: &Request) -> Option<Self> {
        let path = request.path.strip_prefix("/api/v10/")?;
        let segments: Vec<&str> = path.split('/').collect();
        let own = |text: &&str| (*text).to_owned();
        Some(match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["applications", "@me"]) => Self::GetApplication,
            ("GET", ["oauth2", "applications", "@me"]) => Self::GetOAuth2Application,
            ("PATCH", ["applications", "@me"]) => Self::EditApplication,
            ("GET", ["users", "@me"]) => Self::GetUser,
            ("GET", ["applications", app, "commands"]) => Self::GetCommands { app: own(app) },
            ("PUT", ["applications", app, "commands"]) => Self::PutCommands { app: own(app) },
            ("POST", ["applications", app, "commands"]) => Self::PostCommand { app: own(app) },
            ("DELETE", ["applications", app, "commands", id]) => Self::DeleteCommand { app: own(app), id: own(id) },
            ("POST", ["channels", channel, "messages"]) => Self::CreateMessage { channel: own(channel) },
            ("POST", ["channels", channel, "typing"]) => Self::TriggerTyping { channel: own(channel) },
            ("PATCH", ["webhooks", app, token, "messages", "@original"]) => {
                Self::EditOriginal { app: own(app), token: own(token) }
            }
            ("POST", ["webhooks", app, token]) => Self::FollowUp { app: own(app), token: own(token) },
            _ => return None,
        })
    }

    /// What tests call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::GetApplication => "getApplication",
            Self::GetOAuth2Application => "getOAuth2Application",
            Self::EditApplication => "editApplication",
            Self::GetUser => "getUser",
            Self::GetCommands { .. } => "getCommands",
            Self::PutCommands { .. } => "putCommands",
            Self::PostCommand { .. } => "postCommand",
            Self::DeleteCommand { .. } => "deleteCommand",
            Self::CreateMessage { .. } => "createMessage",
            Self::TriggerTyping { .. } => "triggerTyping",
            Self::EditOriginal { .. } => "editOriginal",
            Self::FollowUp { .. } => "followUp",
        }
    }

    /// The bucket it is counted in: one for each kind of call and channel, or for each interaction.
    pub fn bucket(&self) -> String {
        match self {
            Self::CreateMessage { channel } | Self::TriggerTyping { channel } => format!("{}/{channel}", self.name()),
            Self::EditOriginal { token, .. } | Self::FollowUp { token, .. } => format!("webhook/{token}"),
            _ => self.name().to_owned(),
        }
    }
}

/// Makes the call.
pub async fn go(here: &Discord, route: &Route, request: &Request) -> Answer {
    let answer = match route {
        // The token in the path is what authorises these.
        Route::EditOriginal { app, token } => {
            object(request).map(|body| interaction::edit_original(here, app, token, &body))
        }
        Route::FollowUp { app, token } => object(request).map(|body| interaction::follow_up(here, app, token, &body)),
        _ => authorised(here, route, request).await,
    };
    answer.unwrap_or_else(|refused| refused)
}

async fn authorised(here: &Discord, route: &Route, request: &Request) -> Result<Answer, Answer> {
    let token = request.authorization("Bot").ok_or_else(unauthorized)?;
    if !here.state().apps.contains_key(token) {
        return Err(unauthorized());
    }
    let (id, shown, user) = {
        let state = here.state();
        let app = &state.apps[token];
        (app.id.clone(), show(app), bot_user(app))
    };
    // Commands belong to their application.
    let own = |app: &str| if app == id { Ok(()) } else { Err(super::error(403, 20012, "You are not authorized")) };
    match route {
        Route::GetApplication | Route::GetOAuth2Application => Ok(Answer::json(200, &shown)),
        Route::GetUser => Ok(Answer::json(200, &user)),
        Route::EditApplication => verifying::edit_application(here, token, &object(request)?).await,
        Route::GetCommands { app } => own(app).map(|()| commands::list(here, token)),
        Route::PutCommands { app } => {
            own(app)?;
            commands::replace(here, token, &body(request)?)
        }
        Route::PostCommand { app } => {
            own(app)?;
            commands::upsert(here, token, &object(request)?)
        }
        Route::DeleteCommand { app, id } => own(app).map(|()| commands::delete(here, token, id)),
        Route::CreateMessage { channel } => messages::create(here, token, channel, &object(request)?),
        Route::TriggerTyping { channel } => messages::trigger_typing(here, token, channel),
        Route::EditOriginal { .. } | Route::FollowUp { .. } => Err(not_found()),
    }
}

/// The user that a bot is.
pub fn bot_user(app: &AppState) -> Value {
    json!({"id": app.id, "username": app.name, "discriminator": "0000", "global_name": null, "bot": true})
}

/// The application as its owner sees it.
pub fn show(app: &AppState) -> Value {
    json!({
        "id": app.id, "name": app.name, "icon": null, "description": "", "bot_public": false,
        "verify_key": hex::encode(app.key.verifying_key().as_bytes()), "bot": bot_user(app),
        "owner": {"id": "100", "username": "owner"}, "flags": 1 << 19, "event_webhooks_status": 1,
        "interactions_endpoint_url": app.endpoint, "integration_types_config": {"0": {}, "1": {}},
        "approximate_guild_count": 1,
    })
}
