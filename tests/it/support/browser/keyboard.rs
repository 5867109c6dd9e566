//! The keyboard: for those who use no mouse.

use super::Browser;

/// As WebDriver names the keys.
pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

impl Browser {
    /// Presses keys one after the other. Each goes to what has the focus then.
    pub async fn press(&self, keys: &str) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }
}
