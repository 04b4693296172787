//! A certificate is good when a client that trusts the authority completes a handshake.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustls::{ClientConfig, ClientConnection, ServerConnection};

use super::super::Scheme;
use super::*;

fn address(host: &str) -> Address {
    Address::on_machine(Scheme::Https, host, 8443, Some("box".into()))
}

/// Plays a handshake in memory with a client that trusts `ca` and asks for `host`.
fn handshake(files: &TlsFiles, ca: &Path, host: &str) -> Result<Option<Vec<u8>>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(server_config(files).unwrap()).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets().map_err(|e| e.to_string())?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets().map_err(|e| e.to_string())?;
    }
    Ok(client.alpn_protocol().map(<[u8]>::to_vec))
}

#[test]
fn a_client_that_trusts_the_authority_accepts_each_name_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let tls = folder.path().join("tls");
    let files = ensure(&tls, &address("10.0.0.7")).unwrap();
    let ca = files.ca.clone().unwrap();
    for host in ["10.0.0.7", "localhost", "127.0.0.1", "::1", "box"] {
        assert_eq!(handshake(&files, &ca, host), Ok(Some(b"h2".to_vec())), "{host}");
    }
    for host in ["10.0.0.8", "example.com"] {
        let refused = handshake(&files, &ca, host).unwrap_err();
        assert!(refused.contains("not valid for name"), "{refused}");
    }
    for name in ["ca.pem", "ca.key", "server.pem", "server.key"] {
        let mode = fs::metadata(tls.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    let other = tempfile::tempdir().unwrap();
    let stranger = ensure(other.path(), &address("10.0.0.7")).unwrap().ca.unwrap();
    let refused = handshake(&files, &stranger, "localhost").unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
}

#[test]
fn a_certificate_is_kept_while_it_serves_and_issued_again_by_the_same_authority() {
    let folder = tempfile::tempdir().unwrap();
    let ensure = |host| ensure(folder.path(), &address(host));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    ensure("127.0.0.1").unwrap();
    let (ca, first) = (read("ca.pem"), read("server.pem"));
    ensure("0.0.0.0").unwrap();
    assert_eq!(read("server.pem"), first, "the names are the same");

    let files = ensure("spark.example.com").unwrap();
    assert_ne!(read("server.pem"), first);
    assert_eq!(read("ca.pem"), ca);
    handshake(&files, &folder.path().join("ca.pem"), "spark.example.com").unwrap();

    // A crash between the two renames.
    let before = read("server.pem");
    fs::write(folder.path().join("server.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    ensure("spark.example.com").unwrap();
    assert_ne!(read("server.pem"), before);
    assert_eq!(read("ca.pem"), ca);
}

#[test]
fn an_authority_without_its_key_serves_on_and_issues_nothing() {
    let folder = tempfile::tempdir().unwrap();
    ensure(folder.path(), &address("127.0.0.1")).unwrap();
    fs::remove_file(folder.path().join("ca.key")).unwrap();
    ensure(folder.path(), &address("127.0.0.1")).unwrap();
    let error = ensure(folder.path(), &address("10.0.0.7")).unwrap_err();
    assert!(matches!(error, TlsError::Authority { .. }), "{error}");

    fs::write(folder.path().join("ca.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let error = ensure(folder.path(), &address("10.0.0.7")).unwrap_err();
    assert!(matches!(error, TlsError::Authority { .. }), "{error}");
}

#[test]
fn an_end_that_is_near_is_seen() {
    let made = |days: i64| {
        let mut params = CertificateParams::default();
        set_validity(&mut params, days.days());
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem()
    };
    assert!(lasts(&made(100)));
    assert!(!lasts(&made(80)));
    assert!(!lasts("rubbish"));

    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).unwrap().pem();
    let issuer = Issuer::from_ca_cert_pem(&ca, key).unwrap();
    for (days, good) in [(100, true), (80, false)] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        set_validity(&mut params, days.days());
        let cert = params.signed_by(&key, &issuer).unwrap().pem();
        assert_eq!(serves(&ca, &cert, &key.serialize_pem(), &["localhost".to_owned()]), good, "{days}");
    }
}

#[test]
fn what_is_wrong_with_the_users_own_certificate_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let make = |name: &str, days: i64| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        set_validity(&mut params, days.days());
        fs::write(path(&format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    };
    make("a", 10);
    make("b", 10);
    make("old", -1);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    fs::write(path("locked.key"), encrypted).unwrap();

    let check = |cert: &str, key: &str| own(&path(cert), &path(key), &address("localhost"));
    let files = check("a.pem", "a.key").unwrap();
    assert_eq!(files.ca, None);
    server_config(&files).unwrap();
    for (cert, key, says) in [
        ("a.pem", "b.key", "cannot be used together"),
        ("a.key", "a.key", "holds no certificate"),
        ("a.pem", "a.pem", "holds no private key"),
        ("a.pem", "locked.key", "must be decrypted first"),
        ("none.pem", "a.key", "does not exist"),
        ("a.pem", "none.key", "does not exist"),
        ("old.pem", "old.key", "ended on"),
    ] {
        let error = check(cert, key).unwrap_err().to_string();
        assert!(error.contains(says), "{cert} {key}: {error}");
    }
}
