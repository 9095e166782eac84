use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::task::Waker;

use http_body_util::{BodyExt, Full};

use super::*;

/// Frames that are there or are not yet, and what comes later.
#[derive(Debug, Default)]
struct Script(VecDeque<Option<Frame<Bytes>>>);

impl Script {
    fn new(parts: &[Option<&'static str>]) -> Self {
        let frame = |part: &Option<&'static str>| {
            part.map(|p| Frame::data(Bytes::from_static(p.as_bytes())))
        };
        Self(parts.iter().map(frame).collect())
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(Some(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(None) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

fn kept<B>(body: B, max: usize) -> Kept<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    Kept::read(body, max, &mut Context::from_waker(Waker::noop()))
}

async fn text<B>(attempt: Option<Replay<B>>) -> String
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    match attempt {
        Some(body) => match body.collect().await {
            Ok(all) => {
                let trailers = all.trailers().map_or(0, HeaderMap::len);
                let text = String::from_utf8(all.to_bytes().to_vec()).unwrap();
                format!("{text}{}", ";".repeat(trailers))
            }
            Err(error) => error.to_string(),
        },
        None => "gone".into(),
    }
}

#[tokio::test]
async fn what_is_there_is_sent_as_often_as_wanted() {
    let mut full = kept(Full::new(Bytes::from_static(b"abc")), 3);
    assert!(full.is_whole() && full.is_there());
    assert_eq!(full.attempt().unwrap().size_hint().exact(), Some(3));
    assert_eq!(text(full.attempt()).await, "abc");
    assert_eq!(text(full.attempt()).await, "abc");
    let mut empty = kept(Full::new(Bytes::new()), 0);
    assert!(empty.is_whole() && empty.attempt().unwrap().is_end_stream());
    let mut script = Script::new(&[Some("a"), Some("b")]);
    script.0.push_back(Some(Frame::trailers(
        [(http::header::TE, "x".parse().unwrap())].into_iter().collect(),
    )));
    let mut parts = kept(script, 2);
    assert!(parts.is_whole());
    assert_eq!([text(parts.attempt()).await, text(parts.attempt()).await], ["ab;", "ab;"]);
}

#[tokio::test]
async fn what_comes_later_is_kept_as_it_is_read() {
    let mut script = Script::new(&[Some("a"), None, Some("b"), None, Some("c")]);
    script.0.push_back(Some(Frame::trailers(
        [(http::header::TE, "x".parse().unwrap())].into_iter().collect(),
    )));
    let mut body = kept(script, 3);
    assert!(!body.is_whole() && body.is_there());
    let mut first = body.attempt().unwrap();
    for _ in 0..2 {
        poll_fn(|cx| Pin::new(&mut first).poll_frame(cx)).await.unwrap().unwrap();
    }
    // The second goes on where the first has stopped.
    assert_eq!(text(body.attempt()).await, "abc;");
    assert_eq!(text(body.attempt()).await, "abc;");
    assert_eq!(text(Some(first)).await, "c;");
}

#[tokio::test]
async fn only_the_last_attempt_reads_on() {
    let mut body = kept(Script::new(&[None, Some("a"), None, Some("b")]), 9);
    let first = body.attempt();
    let second = body.attempt();
    assert_eq!(text(first).await, "another attempt has the body");
    assert_eq!(text(second).await, "ab");
}

#[tokio::test]
async fn a_long_body_is_sent_once() {
    for parts in [&[Some("ab"), Some("cd")][..], &[Some("ab"), None, Some("cd")], &[Some("abcd")]] {
        let mut body = kept(Script::new(parts), 3);
        assert_eq!(text(body.attempt()).await, "abcd", "{parts:?}");
        assert!(!body.is_there());
        assert_eq!(text(body.attempt()).await, "gone");
    }
    let many = [Some("a"); 1_025];
    let mut body = kept(Script::new(&many), 9_999);
    assert_eq!(text(body.attempt()).await.len(), 1_025);
    assert!(!body.is_there());
    let mut full = kept(Full::new(Bytes::from_static(b"abcd")), 3);
    let mut body = full.attempt().unwrap();
    assert_eq!(body.size_hint().exact(), Some(4));
    poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.unwrap().unwrap();
    assert_eq!(body.size_hint().exact(), Some(0));
    let mut once = Kept::Once(Some(Full::new(Bytes::from_static(b"abc"))));
    assert_eq!([text(once.attempt()).await, text(once.attempt()).await], ["abc", "gone"]);
}
