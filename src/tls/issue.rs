//! Makes an authority and certificates. The authority's parameters are fixed, so its key is all that is needed to make more.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use super::Role;
use super::certificates::CA_CERTIFICATE;
use super::role::holder_name;
use crate::storage::{ClusterId, private};

/// The authority's key. It is needed to make certificates, and by no process that runs.
const CA_KEY: &str = "ca.key";

/// How long an authority is valid.
const CA_DAYS: u64 = 3_650;

/// Clocks may differ by this much.
const BEFORE: Duration = Duration::from_secs(3_600);

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// From when to when a certificate is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    pub from: SystemTime,
    pub until: SystemTime,
}

impl Validity {
    /// This many days from now on.
    pub fn days(days: u64) -> Validity {
        let now = SystemTime::now();
        Validity { from: now - BEFORE, until: now + DAY * u32::try_from(days).unwrap_or(u32::MAX) }
    }
}

/// Makes an authority's key and certificate, and the folder.
///
/// # Errors
/// There is one already, or they cannot be written.
pub fn new_authority(folder: &Path, cluster: ClusterId) -> Result<PathBuf, String> {
    private::create_folders(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let parameters = authority(cluster, Validity::days(CA_DAYS));
    let certificate = parameters.self_signed(&key).map_err(|error| error.to_string())?;
    let path = folder.join(CA_CERTIFICATE);
    write_new(&folder.join(CA_KEY), &key.serialize_pem())?;
    write_new(&path, &certificate.pem())?;
    Ok(path)
}

/// Makes a key and a certificate for it, and says whether they take the place of others of the same name.
///
/// # Errors
/// The authority's key is missing, or the files cannot be written.
pub fn certificate(
    folder: &Path,
    role: &Role,
    cluster: ClusterId,
    validity: Validity,
) -> Result<(PathBuf, bool), String> {
    if let Role::Admin(name) | Role::Client(name) = role {
        holder_name(name)?;
    }
    let ca_key = folder.join(CA_KEY);
    let text = fs::read_to_string(&ca_key).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{} is missing: 'node certs new-ca' makes one", ca_key.display()),
        _ => format!("{}: {error}", ca_key.display()),
    })?;
    let key = KeyPair::from_pem(&text).map_err(|error| format!("{}: {error}", ca_key.display()))?;
    // Of an issuer's parameters only those count that are the same each time.
    let issuer = Issuer::new(authority(cluster, validity), key);
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let parameters = held_by(role, cluster, validity)?;
    let certificate = parameters.signed_by(&key, &issuer).map_err(|error| error.to_string())?;
    let stem = role.file_stem();
    let path = folder.join(format!("{stem}.crt"));
    let replaces = path.exists();
    replace(&folder.join(format!("{stem}.key")), &key.serialize_pem())?;
    replace(&path, &certificate.pem())?;
    Ok((path, replaces))
}

fn authority(cluster: ClusterId, validity: Validity) -> CertificateParams {
    let mut parameters = lasting(validity);
    parameters.distinguished_name = named(&format!("raftlab {cluster}"));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn held_by(role: &Role, cluster: ClusterId, validity: Validity) -> Result<CertificateParams, String> {
    let name = role.dns_name(cluster).try_into().map_err(|error: rcgen::Error| error.to_string())?;
    let mut parameters = lasting(validity);
    parameters.subject_alt_names = vec![SanType::DnsName(name)];
    parameters.distinguished_name = named(&role.file_stem());
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if matches!(role, Role::Peer(_)) {
        parameters.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    parameters.use_authority_key_identifier_extension = true;
    Ok(parameters)
}

fn lasting(validity: Validity) -> CertificateParams {
    let moment = |time: SystemTime| {
        date_time_ymd(1970, 1, 1) + time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    };
    let mut parameters = CertificateParams::default();
    parameters.not_before = moment(validity.from);
    parameters.not_after = moment(validity.until);
    parameters
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let new = private::options().write(true).create_new(true).open(path);
    let written = new.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{} is there already: nothing was made", path.display()),
        _ => format!("{}: {error}", path.display()),
    })
}

/// Writes beside it and renames: a process that reads it meanwhile finds the old one or the new one.
fn replace(path: &Path, text: &str) -> Result<(), String> {
    let mut beside = path.as_os_str().to_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(format!("{}: {error}", beside.display()));
        }
        _ => {}
    }
    write_new(&beside, text)?;
    fs::rename(&beside, path).map_err(|error| format!("{}: {error}", path.display()))
}
