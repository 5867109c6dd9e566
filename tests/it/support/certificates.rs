//! An authority and certificates of its own, made with openssl.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// An authority, a server's certificate for this machine, and a client's. Gone when it is dropped.
pub struct Authority {
    dir: TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let authority = Self { dir: tempfile::tempdir().unwrap() };
        authority.make("ca", &["-addext", "basicConstraints=critical,CA:TRUE"]);
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"];
        let names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"];
        authority.make("server", &[&by[..], &names].concat());
        authority.make("client", &[&by[..], &["-addext", "subjectAltName=DNS:relay"]].concat());
        authority
    }

    fn make(&self, name: &str, arguments: &[&str]) {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", &format!("/CN={name}"), "-keyout", &key, "-out", &certificate])
            .args(arguments)
            .current_dir(self.dir.path())
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("openssl is installed by tests/run").success(), "{name}");
    }

    /// `<name>.pem` or `<name>.key` of `ca`, `server` or `client`.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// The same for a setting or an argument.
    pub fn text(&self, file: &str) -> String {
        text(&self.path(file))
    }

    /// What redis-server is started with so that it speaks TLS on this port only.
    pub fn server_arguments(&self, port: u16, asks_clients: bool) -> Vec<String> {
        let asks_clients = if asks_clients { "yes" } else { "no" };
        let (certificate, key, ca) = (self.text("server.pem"), self.text("server.key"), self.text("ca.pem"));
        let port = port.to_string();
        let arguments = [
            ["--port", "0"],
            ["--tls-port", &port],
            ["--tls-cert-file", &certificate],
            ["--tls-key-file", &key],
            ["--tls-ca-cert-file", &ca],
            ["--tls-auth-clients", asks_clients],
            ["--tls-replication", "yes"],
        ];
        arguments.concat().into_iter().map(str::to_owned).collect()
    }

    /// What redis-cli needs to speak with such a server.
    pub fn cli_arguments(&self) -> Vec<String> {
        let (ca, certificate, key) = (self.text("ca.pem"), self.text("client.pem"), self.text("client.key"));
        ["--tls", "--cacert", &ca, "--cert", &certificate, "--key", &key].map(str::to_owned).to_vec()
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
