//! The token that strangers need: read from its file, compared in constant time, and turned into what a browser
//! carries instead, a signed cookie. Changing the file changes all of it at once.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::hmac::{self, HMAC_SHA256, Key};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;

/// How long a browser stays logged in.
const COOKIE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a login link may lie around.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(600);

/// Login links that may lie around at a time; a new one replaces the oldest.
const CODES_MAX: usize = 16;

/// Bits of chance in a login link, as bytes.
const CODE_BYTES: usize = 16;

/// A shorter token than this is no secret.
const TOKEN_CHARS_MIN: usize = 32;

/// How often the token's file is looked at for the sake of who is connected already.
const WATCH: Duration = Duration::from_secs(1);

/// What a browser has shown to get in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// The token, which may have been given to others.
    Token,
    /// That its reader is this server's user: a link that was made with the control token.
    User,
}

impl Login {
    /// Its name in a cookie.
    fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
        }
    }
}

/// What proves a caller's right; clones share it.
#[derive(Clone)]
pub(crate) struct Tokens {
    shared: Arc<Shared>,
}

struct Shared {
    file: Option<PathBuf>,
    port: u16,
    control: Arc<str>,
    /// Random: two texts are compared by what it makes of them, so that no time tells where they differ.
    compare: Key,
    held: Mutex<Held>,
    codes: Mutex<Vec<Code>>,
    rotated: watch::Sender<()>,
}

/// One login link.
struct Code {
    text: String,
    until: Instant,
    login: Login,
}

/// The token as it was last read.
#[derive(Default)]
struct Held {
    stamp: Option<Stamp>,
    secret: Option<Arc<Secret>>,
}

struct Secret {
    text: String,
    signing: Key,
}

/// By what a file is known to be another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    inode: u64,
}

impl Tokens {
    pub(crate) fn new(file: Option<PathBuf>, port: u16, control: Arc<str>) -> Self {
        let shared = Shared {
            file,
            port,
            control,
            compare: Key::new(HMAC_SHA256, &random::<32>()),
            held: Mutex::default(),
            codes: Mutex::default(),
            rotated: watch::Sender::new(()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether this is the token, or this run's control token, which only its user can read as well.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        let is_control = self.is_equal(given, &self.shared.control);
        let is_token = self.secret().is_some_and(|secret| self.is_equal(given, &secret.text));
        is_control || is_token
    }

    /// Whether this is the control token.
    pub(crate) fn is_control(&self, given: &str) -> bool {
        self.is_equal(given, &self.shared.control)
    }

    /// The token itself, to show it to another server of the same user.
    pub(crate) fn own(&self) -> Option<String> {
        self.secret().map(|secret| secret.text.clone())
    }

    /// A code that logs one browser in as who asked for it.
    pub(crate) fn new_code(&self, login: Login, now: Instant) -> String {
        let text = hex(&random::<CODE_BYTES>());
        let mut codes = lock(&self.shared.codes);
        codes.retain(|code| code.until > now);
        if codes.len() >= CODES_MAX {
            codes.remove(0);
        }
        codes.push(Code { text: text.clone(), until: now + CODE_LIFE, login });
        text
    }

    /// Uses a code up; what it is good for, if it was one.
    pub(crate) fn redeem(&self, given: &str, now: Instant) -> Option<Login> {
        let mut codes = lock(&self.shared.codes);
        let found = codes.iter().position(|code| self.is_equal(given, &code.text) && code.until > now);
        found.map(|at| codes.remove(at).login)
    }

    /// The `Set-Cookie` header that logs a browser in; `None` without a token to sign it with.
    pub(crate) fn set_cookie(&self, login: Login, is_https: bool, now: SystemTime) -> Option<String> {
        let secret = self.secret()?;
        let signed = self.signed(login, seconds(now) + COOKIE_LIFE.as_secs());
        let signature = hex(hmac::sign(&secret.signing, signed.as_bytes()).as_ref());
        let age = COOKIE_LIFE.as_secs();
        let secure = if is_https { "; Secure" } else { "" };
        Some(format!("{signed}.{signature}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}"))
    }

    /// The login in a `Cookie` header, if it is still good.
    pub(crate) fn login(&self, cookies: &str, now: SystemTime) -> Option<Login> {
        let name = self.cookie_name();
        let mut values =
            cookies.split(';').filter_map(|cookie| cookie.trim().strip_prefix(&name)?.strip_prefix('='));
        values.find_map(|value| self.signed_login(value, now))
    }

    fn signed_login(&self, value: &str, now: SystemTime) -> Option<Login> {
        let mut parts = value.splitn(3, '.');
        let (name, until, signature) = (parts.next()?, parts.next()?, unhex(parts.next()?)?);
        let login = [Login::Token, Login::User].into_iter().find(|login| login.name() == name)?;
        let until = until.parse().ok().filter(|until| *until > seconds(now))?;
        let secret = self.secret()?;
        hmac::verify(&secret.signing, self.signed(login, until).as_bytes(), &signature).ok()?;
        Some(login)
    }

    /// What a cookie's signature is of. The port keeps the cookies of two servers of one host apart.
    fn signed(&self, login: Login, until: u64) -> String {
        format!("{}={}.{until}", self.cookie_name(), login.name())
    }

    fn cookie_name(&self) -> String {
        format!("claude_mpm_monitor_{}", self.shared.port)
    }

    /// Completes a wait whenever the token has become another one.
    pub(crate) fn rotations(&self) -> watch::Receiver<()> {
        self.shared.rotated.subscribe()
    }

    /// Notices a new token also when nobody comes with one. Runs until it is dropped.
    pub(crate) async fn watch(self) {
        loop {
            tokio::time::sleep(WATCH).await;
            self.secret();
        }
    }

    /// The token of now: the file is read again when it is another one than last time.
    fn secret(&self) -> Option<Arc<Secret>> {
        let file = self.shared.file.as_ref()?;
        let stamp = stamp(file);
        let mut held = lock(&self.shared.held);
        if stamp != held.stamp {
            let first = held.stamp.is_none();
            held.stamp = stamp;
            let text = private::read(file).ok().and_then(|text| String::from_utf8(text).ok());
            held.secret = text.and_then(|text| Secret::parse(&text)).map(Arc::new);
            if !first {
                lock(&self.shared.codes).clear();
                self.shared.rotated.send_replace(());
            }
        }
        held.secret.clone()
    }

    fn is_equal(&self, given: &str, expected: &str) -> bool {
        let expected = hmac::sign(&self.shared.compare, expected.as_bytes());
        hmac::verify(&self.shared.compare, given.as_bytes(), expected.as_ref()).is_ok()
    }
}

impl Secret {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_owned();
        let signing = Key::new(HMAC_SHA256, text.as_bytes());
        (text.len() >= TOKEN_CHARS_MIN).then_some(Self { text, signing })
    }
}

/// `None` when there is no such file, or others than its user can read it: then it is no secret.
fn stamp(file: &std::path::Path) -> Option<Stamp> {
    let found = fs::metadata(file).ok()?;
    #[cfg(unix)]
    let (inode, mode) = {
        use std::os::unix::fs::MetadataExt;
        (found.ino(), found.mode())
    };
    #[cfg(not(unix))]
    let (inode, mode) = (0, 0);
    (mode & 0o077 == 0).then_some(Stamp { modified: found.modified().ok()?, inode })
}

fn seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    if digits.len().is_multiple_of(2) { pairs.collect() } else { None }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "first-first-first-first-first-first";
    const SECOND: &str = "second-second-second-second-second";

    fn write(path: &std::path::Path, token: &str) {
        // As a rotation does: another file under the same name.
        let draft = path.with_extension("draft");
        fs::write(&draft, token).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&draft, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::rename(draft, path).unwrap();
    }

    fn tokens() -> (tempfile::TempDir, PathBuf, Tokens) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        write(&path, FIRST);
        let tokens = Tokens::new(Some(path.clone()), 8765, "the-control-token".into());
        (folder, path, tokens)
    }

    fn cookie(tokens: &Tokens, now: SystemTime) -> String {
        tokens.set_cookie(Login::User, false, now).unwrap().split(';').next().unwrap().to_owned()
    }

    #[test]
    fn only_the_token_and_the_control_token_are_tokens() {
        let (_folder, _, tokens) = tokens();
        assert!(tokens.is_token(FIRST) && tokens.is_token("the-control-token"));
        for wrong in ["", "first", &FIRST[1..], &format!("{FIRST}x"), SECOND, "the-control-tokeN"] {
            assert!(!tokens.is_token(wrong), "{wrong:?}");
        }
        let without = Tokens::new(None, 8765, "the-control-token".into());
        assert!(!without.is_token("") && without.set_cookie(Login::User, false, UNIX_EPOCH).is_none());
    }

    #[test]
    fn a_new_token_ends_the_old_one_and_everything_made_with_it() {
        let (_folder, path, tokens) = tokens();
        let now = SystemTime::now();
        assert!(tokens.is_token(FIRST));
        let (old, code) = (cookie(&tokens, now), tokens.new_code(Login::User, Instant::now()));
        assert!(tokens.login(&old, now).is_some());
        let rotations = tokens.rotations();
        write(&path, SECOND);
        assert!(tokens.is_token(SECOND) && !tokens.is_token(FIRST));
        assert!(tokens.login(&old, now).is_none() && tokens.redeem(&code, Instant::now()).is_none());
        assert!(rotations.has_changed().unwrap(), "who is connected is told");
        fs::remove_file(&path).unwrap();
        assert!(!tokens.is_token(SECOND), "no file, no token");
    }

    #[test]
    fn a_cookie_is_good_until_its_time_and_only_as_it_was_signed() {
        let (_folder, _, tokens) = tokens();
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let good = cookie(&tokens, now);
        let later = now + COOKIE_LIFE;
        assert_eq!(tokens.login(&format!("a=b; {good};c=d"), now), Some(Login::User));
        assert_eq!(tokens.login(&good, later - Duration::from_secs(1)), Some(Login::User));
        assert_eq!(tokens.login(&good, later), None);
        let (name, value) = good.split_once('=').unwrap();
        let [_, until, signature] = value.split('.').collect::<Vec<_>>()[..] else { panic!("{value}") };
        let prolonged = format!("{name}=user.{}.{signature}", until.parse::<u64>().unwrap() + 1);
        let elsewhere = good.replacen("8765", "8766", 1);
        let token = tokens.set_cookie(Login::Token, false, now).unwrap();
        assert_eq!(tokens.login(&token, now), Some(Login::Token));
        let raised = token.replacen("=token.", "=user.", 1);
        let cut =
            [format!("{name}=user.{until}."), format!("{name}=user.{until}.zz"), format!("{name}=user")];
        for wrong in [prolonged, elsewhere, raised, format!("{name}={until}.{signature}"), name.to_owned()]
            .into_iter()
            .chain(cut)
        {
            assert_eq!(tokens.login(&wrong, now), None, "{wrong}");
        }
        let set = tokens.set_cookie(Login::User, true, now).unwrap();
        assert!(set.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{set}");
    }

    #[test]
    fn a_code_is_good_once_and_for_a_while() {
        let (_folder, _, tokens) = tokens();
        let now = Instant::now();
        assert_eq!(tokens.redeem("guessed", now), None);
        for login in [Login::Token, Login::User] {
            let code = tokens.new_code(login, now);
            assert_eq!((tokens.redeem(&code, now), tokens.redeem(&code, now)), (Some(login), None), "once");
        }
        let old = tokens.new_code(Login::User, now);
        assert_eq!(tokens.redeem(&old, now + CODE_LIFE), None, "not for ever");
        let all: Vec<_> = (0..=CODES_MAX).map(|_| tokens.new_code(Login::User, now)).collect();
        assert!(tokens.redeem(&all[0], now).is_none(), "the oldest gave way");
        assert!(tokens.redeem(&all[1], now).is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_holds_no_secret() {
        use std::os::unix::fs::PermissionsExt;
        let (_folder, path, tokens) = tokens();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!tokens.is_token(FIRST));
    }
}
