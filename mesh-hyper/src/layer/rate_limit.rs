use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::HeaderName;
use mesh_core::limit::{Fill, TokenBucket};
use tower_layer::Layer;
use tower_service::Service;

use super::decided::Decided;
use super::keyed::{All, ByHeader, ByPeer, ByTenant, KeyOf, Keyed};
use super::refusal::{Fail, Look, Refusal, Refuse, Respond};
use crate::runtime;

/// Keys that are remembered if nothing else is said.
const KEYS: usize = 10_000;

/// Lets only so many requests pass in a second, and so many at once.
///
/// Others are answered with 429 and `retry-after`, or RESOURCE_EXHAUSTED, and the service behind
/// never sees them. All services that the layer and its clones make share the limit: on a router it
/// is one for all its routes.
///
/// # Examples
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use mesh_hyper::layer::RateLimitLayer;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// let home = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) });
/// let limit = RateLimitLayer::per_second(1).burst(2).by_header("x-user".parse().unwrap());
/// let service = ServiceBuilder::new().layer(limit).service(home);
/// let get = |user| Request::get("/").header("x-user", user).body(()).unwrap();
/// for (user, status) in [("ann", 200), ("ann", 200), ("ann", 429), ("bob", 200)] {
///     assert_eq!(service.clone().oneshot(get(user)).await.unwrap().status(), status);
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RateLimitLayer<K = All, M = Respond> {
    per_second: u32,
    burst: u32,
    /// How many are remembered; `None` where nothing was said.
    keys: Option<usize>,
    is_keyed: bool,
    limits: Arc<Limits>,
    key: K,
    mode: PhantomData<M>,
}

/// What has passed.
#[derive(Debug)]
enum Limits {
    One(TokenBucket),
    Each(Keyed),
}

impl RateLimitLayer {
    /// Lets `requests` pass in a second, and as many at once. With 0 none.
    #[must_use]
    pub fn per_second(requests: u32) -> Self {
        Self {
            per_second: requests,
            burst: requests,
            keys: None,
            is_keyed: false,
            limits: Arc::new(one(requests, requests)),
            key: All,
            mode: PhantomData,
        }
    }
}

impl<K, M> RateLimitLayer<K, M> {
    /// Lets `requests` pass at once, after a while without any.
    #[must_use]
    pub fn burst(self, requests: u32) -> Self {
        Self { burst: requests, ..self }.anew()
    }

    /// The limit for each peer: see [`ByPeer`].
    #[must_use]
    pub fn by_peer(self) -> RateLimitLayer<ByPeer, M> {
        self.by(ByPeer)
    }

    /// The limit for each tenant: see [`ByTenant`].
    #[must_use]
    pub fn by_tenant(self) -> RateLimitLayer<ByTenant, M> {
        self.by(ByTenant)
    }

    /// The limit for each value of the header field `name`: see [`ByHeader`].
    #[must_use]
    pub fn by_header(self, name: HeaderName) -> RateLimitLayer<ByHeader, M> {
        self.by(ByHeader(name))
    }

    /// The limit for each key that `key` gives, such as a function from a request to a string.
    /// Requests whose key is empty share one.
    #[must_use]
    pub fn by<L>(self, key: L) -> RateLimitLayer<L, M> {
        let Self { per_second, burst, keys, limits, .. } = self;
        let mode = PhantomData;
        RateLimitLayer { per_second, burst, keys, is_keyed: true, limits, key, mode }.anew()
    }

    /// Remembers at least 1 and at most `keys` keys, and forgets the one that was not used for the
    /// longest time if there are more. Default: 10 000.
    #[must_use]
    pub fn keys(self, keys: usize) -> Self {
        Self { keys: Some(keys.max(1)), ..self }.anew()
    }

    /// The same, of which nothing has passed.
    fn anew(self) -> Self {
        let keys = if self.is_keyed { self.keys.unwrap_or(KEYS) } else { 0 };
        Self { limits: limits(self.per_second, self.burst, keys), ..self }
    }

    /// Fails the requests that are too many instead of answering them, whatever requests and
    /// responses are.
    #[must_use]
    pub fn or_error(self) -> RateLimitLayer<K, Fail> {
        let Self { per_second, burst, keys, is_keyed, limits, key, .. } = self;
        RateLimitLayer { per_second, burst, keys, is_keyed, limits, key, mode: PhantomData }
    }
}

fn one(per_second: u32, burst: u32) -> Limits {
    let interval = Duration::from_secs(1);
    // A rate of 0 lets nothing pass, not even at first.
    let max_tokens = if per_second == 0 { 0 } else { burst };
    Limits::One(TokenBucket::new(Fill { max_tokens, tokens_per_fill: per_second, interval }))
}

/// One limit, or one for each of `keys` keys if these are any.
fn limits(per_second: u32, burst: u32, keys: usize) -> Arc<Limits> {
    Arc::new(match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
        (Some(per_second), Some(burst)) if keys > 0 => {
            Limits::Each(Keyed::new(per_second, burst, keys))
        }
        _ => one(per_second, burst),
    })
}

impl<S, K: Clone, M> Layer<S> for RateLimitLayer<K, M> {
    type Service = RateLimit<S, K, M>;

    fn layer(&self, inner: S) -> RateLimit<S, K, M> {
        let (limits, key) = (self.limits.clone(), self.key.clone());
        RateLimit { inner, limits, key, mode: PhantomData }
    }
}

/// A service that only so many requests reach. Made by [`RateLimitLayer`].
#[derive(Clone, Debug)]
pub struct RateLimit<S, K = All, M = Respond> {
    inner: S,
    limits: Arc<Limits>,
    key: K,
    mode: PhantomData<M>,
}

impl<S, Q, K, M> Service<Q> for RateLimit<S, K, M>
where
    S: Service<Q>,
    K: KeyOf<Q>,
    M: Look<Q> + Refuse<S::Response, S::Error>,
{
    type Response = S::Response;
    type Error = M::Error;
    type Future = Decided<S::Future, M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        self.inner.poll_ready(cx).map_err(M::pass)
    }

    fn call(&mut self, mut request: Q) -> Self::Future {
        let taken = match &*self.limits {
            Limits::One(bucket) => bucket.take(1, runtime::now()).map_err(|short| short.wait),
            Limits::Each(keyed) => keyed.take(&self.key.key(&request)),
        };
        match taken {
            Ok(()) => Decided::pass(self.inner.call(request)),
            Err(wait) => Decided::refuse(Refusal::often(wait), M::protocol(&mut request)),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Request, Response};
    use mesh_core::inherited::Inherited;
    use tower::ServiceExt;

    use super::*;
    use crate::error::{BoxError, Error, Kind};
    use crate::inherit::{self, InRequest};
    use crate::layer::contract::{self, Play, Strict};
    use crate::server::Tenant;

    fn request(fields: &[(&'static str, &str)]) -> Request<String> {
        let mut request = Request::new(String::new());
        let field = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        *request.headers_mut() = fields.iter().map(field).collect::<HeaderMap>();
        request
    }

    async fn ask<K: KeyOf<Request<String>> + Clone>(
        layer: &RateLimitLayer<K>,
        fields: &[(&'static str, &str)],
    ) -> Response<String> {
        let strict = Strict::new([Play::status(200)]);
        layer.layer(strict).oneshot(request(fields)).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_too_many_are_answered_in_their_own_terms() {
        let layer = RateLimitLayer::per_second(2).burst(3);
        for _ in 0..3 {
            assert_eq!(ask(&layer, &[]).await.status(), 200);
        }
        let refused = ask(&layer, &[]).await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["retry-after"]),
            (429, &"1".parse().unwrap())
        );
        let refused = ask(&layer, &[("content-type", "application/grpc")]).await;
        assert_eq!(
            (refused.status().as_u16(), &refused.headers()["grpc-status"]),
            (200, &"8".parse().unwrap())
        );
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!([ask(&layer, &[]).await.status(), ask(&layer, &[]).await.status()], [200, 429]);
        assert_eq!(ask(&RateLimitLayer::per_second(0).burst(9), &[]).await.status(), 429);
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_has_a_limit_of_its_own() {
        let layer = RateLimitLayer::per_second(1).by_header(HeaderName::from_static("x-user"));
        let statuses = async |layer: &RateLimitLayer<ByHeader>, users: &[&str]| {
            let mut statuses = Vec::new();
            for user in users {
                statuses.push(ask(layer, &[("x-user", user)]).await.status().as_u16());
            }
            statuses
        };
        assert_eq!(statuses(&layer, &["a", "a", "b"]).await, [200, 429, 200]);
        assert_eq!([ask(&layer, &[]).await.status(), ask(&layer, &[]).await.status()], [200, 429]);
        let few = layer.keys(1);
        assert_eq!(statuses(&few, &["a", "b", "a"]).await, [200, 200, 200]);
        let few = RateLimitLayer::per_second(1).keys(1);
        let few = few.by_header(HeaderName::from_static("x-user"));
        assert_eq!(statuses(&few, &["a", "b", "a"]).await, [200, 200, 200]);
        let method = |request: &Request<String>| request.method().to_string();
        let layer = RateLimitLayer::per_second(1).by(method);
        assert_eq!([ask(&layer, &[]).await.status(), ask(&layer, &[]).await.status()], [200, 429]);
        let layer = RateLimitLayer::per_second(1).by_peer();
        assert_eq!([ask(&layer, &[]).await.status(), ask(&layer, &[]).await.status()], [200, 429]);
    }

    #[tokio::test(start_paused = true)]
    async fn each_tenant_has_a_limit_of_its_own_also_in_the_calls_that_serving_it_takes() {
        let name = |name: &str| mesh_core::tenant::Tenant::new(name).unwrap();
        let layer = RateLimitLayer::per_second(1).by_tenant();
        let of_request = async |tenant: &str| {
            let mut request = request(&[]);
            request.extensions_mut().insert(Tenant(name(tenant)));
            let service = layer.layer(Strict::new([Play::status(200)]));
            service.oneshot(request).await.unwrap().status().as_u16()
        };
        let of_call = async |tenant: &str| {
            let mut served = Inherited::default();
            served.tenant = Some(name(tenant));
            let call = inherit::within(Some(&Arc::new(served)), || ask(&layer, &[]).in_request());
            call.await.status().as_u16()
        };
        assert_eq!([of_request("red").await, of_request("red").await], [200, 429]);
        assert_eq!([of_call("blue").await, of_call("blue").await], [200, 429]);
        assert_eq!([of_call("red").await, of_request("blue").await], [429, 429]);
        let nobodys = [ask(&layer, &[]).await.status(), ask(&layer, &[]).await.status()];
        assert_eq!(nobodys, [200, 429]);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_of_any_kind_can_fail_instead() {
        let service = tower::service_fn(|number: u8| async move { Ok::<_, BoxError>(number) });
        let service = RateLimitLayer::per_second(1).or_error().layer(service);
        assert_eq!(service.clone().oneshot(7).await.unwrap(), 7);
        let error = service.oneshot(7).await.unwrap_err();
        assert_eq!(error.downcast_ref::<Error>().map(Error::kind), Some(Kind::Overloaded));
    }

    #[tokio::test(start_paused = true)]
    async fn services_are_called_ready_and_dropped_requests_are_gone() {
        contract::check(|strict| RateLimitLayer::per_second(100).layer(strict)).await;
    }
}
