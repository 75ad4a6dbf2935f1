//! `--limit-upload`: a token bucket that all uploads of a store share, and the body that asks it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often bytes are granted.
const TICK: Duration = Duration::from_millis(20);
/// Ticks in a second.
const TICKS: u64 = 50;
/// Longest piece of a body that is granted at once.
const PIECE_LEN_MAX: usize = 64 * 1024;
/// Least number of bytes a second that can be asked for.
pub const UPLOAD_LIMIT_MIN: u64 = 1024;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// Grants bytes at a rate, first come, first served; what nobody asked for is not saved up.
pub struct Throttle {
    grant_len: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    // Made by the first who asks, for it needs the runtime.
    ticks: Option<Interval>,
    left: u64,
}

impl Throttle {
    /// Makes a throttle of so many bytes a second.
    pub fn new(rate: u64) -> Self {
        Self { grant_len: (rate / TICKS).max(1), state: Mutex::default() }
    }

    /// Returns once so many bytes may be sent.
    async fn take(&self, len: u64) {
        let mut state = self.state.lock().await;
        while state.left < len {
            let ticks = state.ticks.get_or_insert_with(|| {
                let mut ticks = interval(TICK);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                ticks
            });
            ticks.tick().await;
            state.left += self.grant_len;
        }
        state.left -= len;
    }

    /// Returns a body that is sent no faster than this grants.
    pub fn limit(self: &Arc<Self>, body: SdkBody) -> SdkBody {
        let throttle = Arc::clone(self);
        // By a function of the body, so that a retry begins anew.
        body.map(move |inner| {
            let throttle = Arc::clone(&throttle);
            SdkBody::from_body_1_x(Limited { inner, throttle, waiting: None, rest: Bytes::new() })
        })
    }
}

/// A body in small pieces, each of which is granted first.
struct Limited {
    inner: SdkBody,
    throttle: Arc<Throttle>,
    waiting: Option<Boxed<()>>,
    // What was read and not yet sent; its first piece is what is waited for.
    rest: Bytes,
}

impl Limited {
    fn piece_len(&self) -> usize {
        let grant = usize::try_from(self.throttle.grant_len).unwrap_or(usize::MAX);
        self.rest.len().min(grant.clamp(1024, PIECE_LEN_MAX))
    }
}

impl Body for Limited {
    type Data = Bytes;
    type Error = aws_sdk_s3::error::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
                let len = self.piece_len();
                let piece = self.rest.split_to(len);
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if self.rest.is_empty() {
                match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                    None => return Poll::Ready(None),
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => self.rest = data,
                        Err(other) => return Poll::Ready(Some(Ok(other))),
                    },
                }
                continue;
            }
            let (throttle, len) = (Arc::clone(&self.throttle), self.piece_len() as u64);
            self.waiting = Some(Box::pin(async move { throttle.take(len).await }));
        }
    }

    fn size_hint(&self) -> SizeHint {
        let inner = Body::size_hint(&self.inner);
        let mut hint = SizeHint::new();
        let rest = self.rest.len() as u64;
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
