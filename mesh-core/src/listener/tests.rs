use std::net::IpAddr;

use super::*;
use crate::testing::{at, at_millis};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `10.0.0.0/8` and such.
fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix::new(ip(address), length.parse().unwrap())
}

fn prefixes(list: &[&str]) -> Vec<Prefix> {
    list.iter().map(|text| prefix(text)).collect()
}

fn connection(local: &str, remote: &str, port: u16) -> Connection<'static> {
    let remote = Some((ip(remote), port));
    Connection { local: Some(ip(local)), remote, transport: Transport::Plain, hello: None }
}

fn any() -> ChainMatch {
    ChainMatch::default()
}

fn to(list: &[&str]) -> ChainMatch {
    ChainMatch { destinations: prefixes(list), ..any() }
}

fn from(list: &[&str]) -> ChainMatch {
    ChainMatch { sources: prefixes(list), ..any() }
}

fn kind(source_type: SourceType) -> ChainMatch {
    ChainMatch { source_type, ..any() }
}

fn transport(transport: Transport) -> ChainMatch {
    ChainMatch { transport: Some(transport), ..any() }
}

fn ports(list: &[u16]) -> ChainMatch {
    ChainMatch { source_ports: list.to_vec(), ..any() }
}

#[test]
fn the_most_specific_chain_is_selected() {
    use SourceType::{External, SameHost};
    let outside = connection("192.168.1.1", "10.1.1.1", 1);
    let tls = Connection { transport: Transport::Tls, ..outside };
    let unix = Connection { local: None, remote: None, ..outside };
    let table: Vec<(&str, Vec<ChainMatch>, Connection<'_>, Option<usize>)> = vec![
        ("nothing", vec![], outside, None),
        ("anything", vec![any()], outside, Some(0)),
        (
            "longest destination",
            vec![to(&["192.168.0.0/16"]), to(&["192.168.1.0/24"])],
            outside,
            Some(1),
        ),
        ("one of two destinations", vec![to(&["10.0.0.0/8", "192.168.1.1/32"])], outside, Some(0)),
        ("other destination", vec![to(&["10.0.0.0/8"])], outside, None),
        ("zero bits are more than none", vec![any(), to(&["0.0.0.0/0"])], outside, Some(1)),
        ("zero bits are of a family", vec![any(), to(&["::/0"])], outside, Some(0)),
        ("raw buffer is more than any", vec![any(), transport(Transport::Plain)], outside, Some(1)),
        ("tls is not raw", vec![any(), transport(Transport::Tls)], outside, Some(0)),
        ("tls where it is seen", vec![any(), transport(Transport::Tls)], tls, Some(1)),
        ("raw is not tls", vec![transport(Transport::Plain)], tls, None),
        ("external", vec![any(), kind(SameHost), kind(External)], outside, Some(2)),
        (
            "loopback",
            vec![kind(External), kind(SameHost)],
            connection("10.0.0.1", "127.0.0.1", 1),
            Some(1),
        ),
        (
            "own address",
            vec![kind(External), kind(SameHost)],
            connection("10.0.0.1", "10.0.0.1", 1),
            Some(1),
        ),
        (
            "mapped address",
            vec![kind(SameHost), any()],
            connection("::ffff:10.0.0.1", "10.0.0.1", 1),
            Some(0),
        ),
        ("unix is the same host", vec![kind(SameHost), any(), to(&["0.0.0.0/0"])], unix, Some(0)),
        (
            "longest source",
            vec![from(&["10.0.0.0/8"]), from(&["10.1.0.0/16"]), any()],
            outside,
            Some(1),
        ),
        ("no source", vec![from(&["11.0.0.0/8"])], outside, None),
        ("port", vec![any(), ports(&[2, 1])], outside, Some(1)),
        ("other port", vec![any(), ports(&[2])], outside, Some(0)),
        (
            "earlier levels decide without a way back",
            vec![ChainMatch { source_ports: vec![9], ..to(&["192.168.1.0/24"]) }, any()],
            outside,
            None,
        ),
        (
            "destination before source",
            vec![to(&["192.168.0.0/16"]), from(&["10.1.1.1/32"])],
            outside,
            Some(0),
        ),
        ("kind before source", vec![kind(External), from(&["10.1.1.1/32"])], outside, Some(0)),
    ];
    for (name, matches, connection, expect) in table {
        let selector = Selector::new(&matches).unwrap();
        assert_eq!(selector.select(&connection), expect, "{name}");
    }
}

#[test]
fn chains_for_the_same_connections_are_refused() {
    let overlap = |list: &[ChainMatch]| Selector::new(list).err();
    let of = |first, second| Some(SelectorError::Overlap { first, second });
    assert_eq!(overlap(&[any(), any()]), of(0, 1));
    assert_eq!(overlap(&[to(&["10.0.0.0/8"]), any(), to(&["11.0.0.0/8", "10.9.9.9/8"])]), of(0, 2));
    assert_eq!(overlap(&[ports(&[1, 2]), ports(&[2, 3])]), of(0, 1));
    assert_eq!(overlap(&[to(&["10.0.0.0/8", "10.0.0.1/8"])]), None);
    assert_eq!(overlap(&[to(&["0.0.0.0/0"]), any(), to(&["::/0"])]), None);
    let all: Vec<u16> = (0..=u16::MAX).collect();
    assert_eq!(overlap(&[ports(&all)]), Some(SelectorError::TooMany));
}

#[test]
fn lengths_are_clamped_and_host_bits_ignored() {
    assert_eq!(prefix("10.1.2.3/99"), prefix("10.1.2.3/32"));
    assert_eq!(prefix("2001:db8::1/4000"), prefix("2001:db8::1/128"));
    assert_eq!(prefix("10.1.2.3/8"), prefix("10.0.0.0/8"));
    assert_eq!(prefix("::ffff:10.0.0.0/104"), prefix("10.0.0.0/8"));
    assert_eq!(
        format!("{:?} {:?}", prefix("10.1.2.3/8"), prefix("2001:db8::/32")),
        "10.0.0.0/8 2001:db8::/32"
    );
    let table = [
        ("10.0.0.0/8", "10.255.0.1", Some(8)),
        ("10.0.0.0/8", "::ffff:10.0.0.1", Some(8)),
        ("10.0.0.0/8", "11.0.0.0", None),
        ("0.0.0.0/0", "203.0.113.9", Some(0)),
        ("0.0.0.0/0", "2001:db8::1", None),
        ("::/0", "2001:db8::1", Some(0)),
        ("::/0", "10.0.0.1", None),
        ("2001:db8:1::/48", "2001:db8:2::1", None),
    ];
    for (range, address, expect) in table {
        assert_eq!(prefix(range).matches(ip(address)), expect, "{range} {address}");
    }
}

#[test]
fn only_fast_batches_of_resets_are_an_attack() {
    let run = |resets_of_ten: u32, millis_per_stream: u64| {
        let mut resets = Resets::new(at(0));
        (1..=5 * Resets::BATCH).find(|n| {
            let reset = n * resets_of_ten / 10;
            resets.opened(reset, || at_millis(u64::from(*n) * millis_per_stream))
        })
    };
    assert_eq!(run(10, 1), Some(Resets::BATCH));
    assert_eq!(run(6, 19), Some(Resets::BATCH));
    assert_eq!(run(10, 20), None, "long polls that are given up");
    assert_eq!(run(5, 1), None, "every second call is hedged");
}

fn named(list: &[&str]) -> ChainMatch {
    let server_names = list.iter().map(|name| NamePattern::parse(name).unwrap()).collect();
    ChainMatch { server_names, ..any() }
}

fn offered(list: &[&str]) -> ChainMatch {
    ChainMatch { protocols: list.iter().map(|name| (*name).into()).collect(), ..any() }
}

#[test]
fn names_and_protocols_of_handshakes_select_chains() {
    let hello = |name: Option<&str>, protocols: &[&str]| Hello {
        server_name: name.map(Into::into),
        protocols: protocols.iter().map(|name| name.as_bytes().into()).collect(),
    };
    let cart = hello(Some("cart.shop.example"), &["h2", "http/1.1"]);
    let silent = hello(None, &[]);
    let of_both = ChainMatch { protocols: vec!["h2".into()], ..named(&["*.example"]) };
    for (what, chains, hello, expect) in [
        ("exact", vec![any(), named(&["cart.shop.example"])], Some(&cart), Some(1)),
        (
            "exact before below",
            vec![named(&["*.shop.example"]), named(&["CART.shop.example"])],
            Some(&cart),
            Some(1),
        ),
        (
            "longest suffix",
            vec![named(&["*.example"]), named(&["*.shop.example"])],
            Some(&cart),
            Some(1),
        ),
        ("not itself", vec![named(&["*.cart.shop.example"])], Some(&cart), None),
        ("no name", vec![any(), named(&["cart.shop.example"])], Some(&silent), Some(0)),
        ("no handshake", vec![any(), named(&["cart.shop.example"])], None, Some(0)),
        ("other protocol", vec![offered(&["istio"])], Some(&cart), None),
        (
            "the client's favourite",
            vec![offered(&["http/1.1"]), offered(&["h2"]), any()],
            Some(&cart),
            Some(1),
        ),
        ("one of two", vec![any(), offered(&["istio", "http/1.1"])], Some(&cart), Some(1)),
        ("no way back", vec![of_both, named(&["*.shop.example"])], Some(&cart), Some(1)),
        (
            "a name is more than a protocol",
            vec![offered(&["h2"]), named(&["*.example"])],
            Some(&cart),
            Some(1),
        ),
    ] {
        let transport = if hello.is_some() { Transport::Tls } else { Transport::Plain };
        let connection = Connection { transport, hello, ..connection("10.0.0.1", "10.0.0.2", 1) };
        assert_eq!(Selector::new(&chains).unwrap().select(&connection), expect, "{what}");
    }
    let twice = [named(&["a", "b"]), named(&["b"])];
    let error = Selector::new(&twice).unwrap_err();
    assert_eq!(error, SelectorError::Overlap { first: 0, second: 1 });
}

#[test]
fn stars_stand_for_first_labels_only() {
    for (text, expect) in [
        ("a.Example", Some(NamePattern::Exact("a.example".into()))),
        ("*.example", Some(NamePattern::Below(".example".into()))),
        ("*", None),
        ("*.", None),
        ("", None),
        ("a*.example", None),
        ("*.*.example", None),
        ("*example", None),
    ] {
        assert_eq!(NamePattern::parse(text), expect, "{text}");
    }
}

#[test]
fn protocols_say_what_is_spoken() {
    for (name, expect) in [
        ("h2", Some(Spoken::Http2)),
        ("istio-http/1.1", Some(Spoken::Http1)),
        ("istio", Some(Spoken::Either)),
        ("istio-peer-exchange", None),
        ("", None),
    ] {
        assert_eq!(Spoken::by(name.as_bytes()), expect, "{name}");
    }
}
