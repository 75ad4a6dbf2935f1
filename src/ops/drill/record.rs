//! Signing what came of a drill: `drilled`, in the operator's own log. Spec: `drill.md` §4.
//!
//! The exact bytes lie in the recovery kit before the store gets them. The event follows from no
//! vault note, so if the delivery is interrupted only they tell the next run that it may sign the
//! checkpoint that is missing.

use crate::base::{Observer, SignerId};
use crate::format::event::EventPayload;
use crate::format::event_fields::Drilled;
use crate::ops::Error;
use crate::ops::desk::Desk;

/// Records a drill, and returns who signed for it.
///
/// # Errors
/// If the kit or the primary store cannot be written, or the operator may not say so.
pub fn record(
    desk: &mut Desk,
    drilled: Drilled,
    observer: &dyn Observer,
) -> Result<SignerId, Error> {
    desk.kit.check_writable()?;
    desk.operator.complete()?;
    desk.kit.forget_pending()?;
    desk.operator.delegate_itself()?;
    let kit = &desk.kit;
    desk.operator.append_kept(EventPayload::Drilled(drilled), |leaf| kit.keep_pending(leaf))??;
    desk.kit.forget_pending()?;
    desk.settle(observer)?;
    Ok(desk.operator.signer())
}
