//! The templates of the pages. They are part of the binary.

macro_rules! templates {
    ($($name:literal),+ $(,)?) => {
        /// Each with its name, to be given to Tera all at once.
        pub(in crate::http) const TEMPLATES: &[(&str, &str)] = &[$((
            concat!("admin/", $name, ".html"),
            include_str!(concat!("../../../../templates/admin/", $name, ".html")),
        )),+];
    };
}

templates!(
    "plain",
    "frame",
    "navigation",
    "macros",
    "login",
    "problem",
    "overview",
    "sessions",
    "session",
    "delete_session",
    "deliveries",
    "store",
    "keys",
    "key",
    "audit",
);
