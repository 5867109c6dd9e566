//! The global commands of an application.
//!
//! Source: discord/discord-api-docs `developers/interactions/application-commands.mdx`.

use serde_json::{Value, json};

use super::{Discord, error, invalid_field, snowflake};
use crate::support::platforms::server::Answer;

/// Most commands of type 1 that an application may have.
const MAX_COMMANDS: usize = 100;
/// Most options of a command.
const MAX_OPTIONS: usize = 25;

/// `GET`: all of them.
pub fn list(here: &Discord, token: &str) -> Answer {
    Answer::json(200, &json!(here.state().apps[token].commands))
}

/// `PUT`: these, and no others.
pub fn replace(here: &Discord, token: &str, body: &Value) -> Result<Answer, Answer> {
    let commands = body.as_array().ok_or_else(|| error(400, 50035, "Invalid Form Body"))?;
    if commands.len() > MAX_COMMANDS {
        return Err(error(400, 30032, "Maximum number of application commands reached (100)"));
    }
    commands.iter().try_for_each(check)?;
    let mut state = here.state();
    let app = state.apps.get_mut(token).unwrap();
    let old = std::mem::take(&mut app.commands);
    for command in commands {
        let kept = old.iter().find(|known| is_same(known, command));
        let id = kept.map_or_else(snowflake, |kept| kept["id"].as_str().unwrap().to_owned());
        app.commands.push(stored(&app.id, &id, command));
    }
    Ok(Answer::json(200, &json!(app.commands)))
}

/// `POST`: one more, or another version of one.
pub fn upsert(here: &Discord, token: &str, command: &Value) -> Result<Answer, Answer> {
    check(command)?;
    let mut state = here.state();
    let app = state.apps.get_mut(token).unwrap();
    if let Some(known) = app.commands.iter_mut().find(|known| is_same(known, command)) {
        *known = stored(&app.id, known["id"].as_str().unwrap(), command);
        return Ok(Answer::json(200, known));
    }
    if app.commands.len() == MAX_COMMANDS {
        return Err(error(400, 30032, "Maximum number of application commands reached (100)"));
    }
    let command = stored(&app.id, &snowflake(), command);
    app.commands.push(command.clone());
    Ok(Answer::json(201, &command))
}

/// `DELETE`: one of them.
pub fn delete(here: &Discord, token: &str, id: &str) -> Answer {
    let mut state = here.state();
    let commands = &mut state.apps.get_mut(token).unwrap().commands;
    let Some(at) = commands.iter().position(|command| command["id"] == id) else {
        return error(404, 10063, "Unknown application command");
    };
    commands.remove(at);
    Answer::empty(204)
}

/// Whether two are the same command: they have one name and one type.
fn is_same(a: &Value, b: &Value) -> bool {
    let kind = |command: &Value| command["type"].as_u64().unwrap_or(1);
    a["name"] == b["name"] && kind(a) == kind(b)
}

pub fn stored(app: &str, id: &str, command: &Value) -> Value {
    let mut stored = command.clone();
    stored["id"] = id.into();
    stored["application_id"] = app.into();
    stored["version"] = snowflake().into();
    if stored["type"].is_null() {
        stored["type"] = 1.into();
    }
    stored
}

fn check(command: &Value) -> Result<(), Answer> {
    check_name(&command["name"])?;
    if command["type"].as_u64().unwrap_or(1) == 1 {
        check_description(&command["description"])?;
    }
    for (field, known) in [("integration_types", 0..=1), ("contexts", 0..=2)] {
        let Some(list) = command.get(field).filter(|list| !list.is_null()) else { continue };
        let is_known = |value: &Value| value.as_u64().is_some_and(|value| known.contains(&value));
        if !list.as_array().is_some_and(|list| list.iter().all(is_known)) {
            return Err(invalid_field(field, "BASE_TYPE_CHOICES", "Value must be one of the known ones."));
        }
    }
    let none = Vec::new();
    let options = command["options"].as_array().unwrap_or(&none);
    if options.len() > MAX_OPTIONS {
        return Err(invalid_field("options", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length."));
    }
    let mut is_optional = false;
    for option in options {
        check_name(&option["name"])?;
        check_description(&option["description"])?;
        if !option["type"].as_u64().is_some_and(|kind| (1..=11).contains(&kind)) {
            return Err(invalid_field("options", "BASE_TYPE_CHOICES", "Value must be one of the known types."));
        }
        let lengths = ["min_length", "max_length"].map(|name| option[name].as_u64().unwrap_or(1));
        if lengths.iter().any(|length| *length > 6000) {
            return Err(invalid_field("options", "NUMBER_TYPE_MAX", "Must be less than or equal to 6000."));
        }
        let is_required = option["required"] == true;
        if is_required && is_optional {
            let message = "Required options must be placed before non-required options";
            return Err(invalid_field("options", "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", message));
        }
        is_optional |= !is_required;
    }
    Ok(())
}

/// 1 to 32 letters, digits, `-`, `_` or `'`, in lower case where there is one.
fn check_name(name: &Value) -> Result<(), Answer> {
    let is_allowed = |c: char| c.is_alphanumeric() || "-_'".contains(c);
    let is_name = |name: &str| {
        (1..=32).contains(&name.chars().count()) && name.chars().all(is_allowed) && name.to_lowercase() == name
    };
    match name.as_str() {
        None => Err(invalid_field("name", "BASE_TYPE_REQUIRED", "This field is required")),
        Some(name) if is_name(name) => Ok(()),
        Some(_) => Err(invalid_field("name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")),
    }
}

/// 1 to 100 characters.
fn check_description(description: &Value) -> Result<(), Answer> {
    match description.as_str().map(|text| text.chars().count()) {
        Some(1..=100) => Ok(()),
        Some(_) => Err(invalid_field("description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")),
        None => Err(invalid_field("description", "BASE_TYPE_REQUIRED", "This field is required")),
    }
}
