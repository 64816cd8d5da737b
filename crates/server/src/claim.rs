//! The right to the store's place, as the host gives it: the server itself knows the database's file only, not the home
//! around it, nor who else may want it.

use std::fmt;
use std::io;
use std::sync::Arc;

/// Makes the place of the store this server's again before files are put back there: its folders, and the lock that keeps
/// others from writing there. Clones are the same right; without a host nobody else wants it.
#[derive(Clone, Default)]
pub struct Claim(Option<Arc<Renew>>);

type Renew = dyn Fn() -> io::Result<()> + Send + Sync;

impl Claim {
    /// A right that this renews; it may block, and its error says why the place is not to be had.
    pub fn new(renew: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(renew)))
    }

    pub(crate) fn renew(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |renew| renew())
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.0.is_some()).finish()
    }
}
