//! Logging in as operator, staying so on every replica, and the audit of what operators did.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::digest::Digest;
use crate::domain::timestamp::Timestamp;
use crate::services::Relay;
use crate::services::error::Error;
use crate::store::LimitUse;
use crate::store::operator::{AuditPage, NewAuditEntry};

/// Random bytes of a login's token: 256 bits.
const TOKEN_BYTES: usize = 32;
/// Longest text that is looked up as a token. Ours are far shorter.
const MAX_TOKEN: usize = 128;
/// Longest subject of an audit entry, in characters.
const MAX_SUBJECT: usize = 200;

/// The operator's password, and what is derived from it.
///
/// Logins are stored under a digest keyed with the password, so that the store's content lets nobody in and a
/// changed password ends every login.
pub struct AdminKey(SecretString);

impl AdminKey {
    /// Takes the password as the environment gives it.
    pub fn new(password: SecretString) -> Self {
        Self(password)
    }

    fn keyed(&self, purpose: &str, token: &str) -> Digest {
        Digest::keyed(self.0.expose_secret().as_bytes(), &[purpose.as_bytes(), b"|", token.as_bytes()])
    }

    /// Compares in a time that tells nothing about the password.
    fn is(&self, password: &SecretString) -> bool {
        Digest::of(password.expose_secret().as_bytes()) == Digest::of(self.0.expose_secret().as_bytes())
    }
}

/// Somebody who is logged in as operator.
#[derive(Clone)]
pub struct Operator {
    ip: String,
    session: Digest,
    csrf: Digest,
}

impl Operator {
    /// What a form of this operator's pages carries, to show that it is one of them. The same on every replica.
    pub fn csrf_token(&self) -> String {
        self.csrf.to_hex()
    }

    /// Whether a form carries it.
    pub fn is_csrf_token(&self, token: &str) -> bool {
        Digest::from_hex(token).is_some_and(|token| token == self.csrf)
    }
}

impl Relay {
    fn admin_key(&self) -> Result<&AdminKey, Error> {
        self.shared
            .admin_key
            .as_ref()
            .ok_or(Error::NotConfigured("the admin pages are closed: CHAOS_ADMIN_KEY is not set on this relay"))
    }

    /// Whether there is an operator at all.
    pub fn check_admin_configured(&self) -> Result<(), Error> {
        self.admin_key().map(drop)
    }

    /// Lets an operator in who knows the password. Gives the new login's token; the one that came along, if any,
    /// ends. Every try counts against the limit of its address.
    pub async fn log_in(
        &self,
        password: &SecretString,
        ip: &str,
        earlier: Option<&str>,
    ) -> Result<SecretString, Error> {
        let key = self.admin_key()?;
        let counter = LimitUse { counter: format!("admin-login:{ip}"), limit: self.shared.limits.admin_login };
        let status = self.store.count_use(&counter).await?;
        if status.is_exceeded() {
            // Once a window: what is tried beyond the limit must not push everything else out of the audit.
            if status.used == u64::from(status.limit.count()) + 1 {
                self.note(ip, "login", "", "refused: too many tries").await;
            }
            return Err(Error::Limited(status));
        }
        if !key.is(password) {
            self.note(ip, "login", "", "refused: wrong password").await;
            return Err(Error::Unauthorized { code: "wrong_password", message: "the password is wrong" });
        }
        let mut bytes = [0_u8; TOKEN_BYTES];
        getrandom::fill(&mut bytes).expect("the system's random generator works");
        let token = URL_SAFE_NO_PAD.encode(bytes);
        self.store.open_admin_session(&key.keyed("session", &token)).await?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.len() <= MAX_TOKEN) {
            self.store.close_admin_session(&key.keyed("session", earlier)).await?;
        }
        self.note(ip, "login", "", "logged in").await;
        Ok(token.into())
    }

    /// Who holds this token, if it is a login that holds.
    pub async fn operator(&self, token: Option<&str>, ip: String) -> Result<Operator, Error> {
        let key = self.admin_key()?;
        let refusal = || Error::Unauthorized { code: "not_logged_in", message: "log in at /admin/login first" };
        let token = token.filter(|token| token.len() <= MAX_TOKEN).ok_or_else(refusal)?;
        let operator = Operator { ip, session: key.keyed("session", token), csrf: key.keyed("form", token) };
        if self.store.has_admin_session(&operator.session).await? { Ok(operator) } else { Err(refusal()) }
    }

    /// Ends a login on every replica.
    pub async fn log_out(&self, operator: &Operator) -> Result<(), Error> {
        self.store.close_admin_session(&operator.session).await?;
        self.audit(operator, "logout", "", "logged out").await;
        Ok(())
    }

    /// Ends the logins of all operators, this one's included.
    pub async fn log_out_everybody(&self, operator: &Operator) -> Result<(), Error> {
        let ended = self.store.close_all_admin_sessions().await?;
        self.audit(operator, "logout everywhere", "", &format!("{ended} logins ended")).await;
        Ok(())
    }

    /// A page of the audit, newest first.
    pub async fn audit_page(&self, before: Option<Timestamp>, count: usize) -> Result<AuditPage, Error> {
        Ok(self.store.audit_page(before, count).await?)
    }

    /// Adds what an operator did to the audit and to the log. What was done is done: a store that is away by now
    /// keeps it out of the audit only.
    pub(super) async fn audit(&self, operator: &Operator, action: &str, subject: &str, outcome: &str) {
        self.note(&operator.ip, action, subject, outcome).await;
    }

    async fn note(&self, ip: &str, action: &str, subject: &str, outcome: &str) {
        tracing::info!(ip, action, subject, outcome, "operator");
        let entry = NewAuditEntry {
            ip: ip.to_owned(),
            action: action.to_owned(),
            subject: subject.chars().take(MAX_SUBJECT).collect(),
            outcome: outcome.to_owned(),
        };
        if let Err(error) = self.store.audit(&entry).await {
            tracing::error!(%error, "what an operator did is not in the audit");
        }
    }
}
