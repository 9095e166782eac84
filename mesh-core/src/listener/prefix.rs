use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A range of IP addresses that begin alike (Envoy's `CidrRange`), as filter chains match them.
///
/// Host bits do not count, and a length of 0 still means the family (gRFC A36). An IPv4 address
/// written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, in ranges as in what they are asked
/// about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    /// Left-aligned, host bits zero.
    bits: u128,
    length: u8,
    is_v4: bool,
}

impl Prefix {
    /// The addresses whose first `length` bits are those of `address`.
    ///
    /// A length beyond that of the family is taken for all of its bits, as gRFC A36 wants.
    #[must_use]
    pub fn new(address: IpAddr, length: u32) -> Self {
        let (address, length) = match (address, address.to_canonical()) {
            (IpAddr::V6(_), v4 @ IpAddr::V4(_)) if length >= MAPPED => (v4, length - MAPPED),
            (address, _) => (address, length),
        };
        let (bits, width) = bits(address);
        let length = u8::try_from(length).unwrap_or(u8::MAX).min(width);
        Self { bits: bits & mask(length), length, is_v4: address.is_ipv4() }
    }

    /// How many bits of `address` it names, if it holds it.
    #[must_use]
    pub fn matches(&self, address: IpAddr) -> Option<u8> {
        let address = address.to_canonical();
        let is_it =
            address.is_ipv4() == self.is_v4 && bits(address).0 & mask(self.length) == self.bits;
        is_it.then_some(self.length)
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v6 = IpAddr::V6(Ipv6Addr::from_bits(self.bits));
        let v4 = u32::try_from(self.bits >> 96).map(|bits| IpAddr::V4(bits.into()));
        let address = if self.is_v4 { v4.unwrap_or(v6) } else { v6 };
        write!(f, "{address}/{}", self.length)
    }
}

/// The bits of an address, left-aligned, and how many there are.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0)
}

/// Bits before the IPv4 address in `::ffff:a.b.c.d`.
const MAPPED: u32 = 96;
