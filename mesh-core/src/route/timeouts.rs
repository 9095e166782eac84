use std::time::Duration;

/// How long a call on this route may take. Every limit is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// For HTTP: from the end of the request to the end of the response (Envoy's
    /// `RouteAction.timeout`). Zero is no limit; the parser fills in Envoy's default of 15 s.
    pub route: Option<Duration>,
    /// For streams, gRPC and HTTP: the whole life (`max_stream_duration.max_stream_duration`).
    /// Zero is no limit, and does not fall back to the listener's.
    pub max_stream_duration: Option<Duration>,
    /// For gRPC: the most a caller's deadline may be (`max_stream_duration.grpc_timeout_header_max`).
    /// Zero is no limit. Takes precedence over `max_stream_duration`.
    pub grpc_timeout_header_max: Option<Duration>,
    /// For gRPC: what is taken off a caller's deadline, so that the call ends here before the caller
    /// gives up (Envoy's `max_stream_duration.grpc_timeout_header_offset`). Counts only beside
    /// `grpc_timeout_header_max`.
    pub grpc_timeout_header_offset: Option<Duration>,
    /// For HTTP: without a byte in either direction (`RouteAction.idle_timeout`). Zero is no limit.
    pub idle: Option<Duration>,
}

impl Timeouts {
    /// The limit of a gRPC call whose caller gave it `deadline` (gRFC A31, and Envoy for
    /// `grpc_timeout_header_offset`, which is taken off after all bounds).
    ///
    /// `listener` is the `common_http_protocol_options.max_stream_duration` of the HTTP connection
    /// manager, for routes that say nothing. The result is never above `deadline`. It is zero, and the call ends
    /// at once, if the offset leaves nothing.
    #[must_use]
    pub fn grpc_limit(
        &self,
        deadline: Option<Duration>,
        listener: Option<Duration>,
    ) -> Option<Duration> {
        let setting = self.grpc_timeout_header_max.or(self.max_stream_duration).or(listener);
        match (deadline, setting.filter(|limit| !limit.is_zero())) {
            (Some(deadline), limit) => {
                let bound = limit.map_or(deadline, |limit| deadline.min(limit));
                Some(bound.saturating_sub(self.offset()))
            }
            (None, limit) => limit,
        }
    }

    /// What is taken off the deadlines of callers.
    fn offset(&self) -> Duration {
        self.grpc_timeout_header_max.and(self.grpc_timeout_header_offset).unwrap_or_default()
    }

    /// The limit of an HTTP call on this route; `None` is no limit.
    #[must_use]
    pub fn http_limit(&self) -> Option<Duration> {
        self.route.filter(|limit| !limit.is_zero())
    }
}
