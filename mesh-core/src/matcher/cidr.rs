use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::Error;

/// A range of IP addresses (Envoy's `CidrRange`).
///
/// An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address, in ranges as in
/// what they are asked about. Otherwise a range holds addresses of its own family only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The addresses whose first `prefix_len` bits are those of `address`.
    ///
    /// # Errors
    /// [`Error::PrefixLength`] when an address of that family has fewer bits.
    pub fn new(address: IpAddr, prefix_len: u8) -> Result<Self, Error> {
        let net = IpNet::new(address, prefix_len).map_err(|_| Error::PrefixLength)?;
        Ok(Self(unmapped(net).trunc()))
    }

    /// How many leading bits its addresses share.
    #[must_use]
    pub fn prefix_len(&self) -> u8 {
        self.0.prefix_len()
    }

    /// Whether `address` is one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (&self.0, address.to_canonical()) {
            (IpNet::V4(net), IpAddr::V4(address)) => net.contains(&address),
            (IpNet::V6(net), IpAddr::V6(address)) => net.contains(&address),
            (IpNet::V4(_), IpAddr::V6(_)) | (IpNet::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// The IPv4 range that an IPv6 one within `::ffff:0:0/96` stands for.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let prefix = v6.prefix_len().checked_sub(MAPPED);
    let address = Ipv6Addr::to_ipv4_mapped(&v6.addr());
    match (address, prefix) {
        (Some(address), Some(prefix)) => Ipv4Net::new(address, prefix).map_or(net, IpNet::V4),
        (None, _) | (_, None) => net,
    }
}

/// Bits before the IPv4 address in `::ffff:a.b.c.d`.
const MAPPED: u8 = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_addresses_of_their_family() {
        let table = [
            ("10.1.2.3", 8, "10.255.0.1", true),
            ("10.1.2.3", 8, "11.0.0.0", false),
            ("10.0.0.0", 8, "::ffff:10.0.0.1", true),
            ("10.0.0.1", 32, "10.0.0.1", true),
            ("10.0.0.1", 32, "10.0.0.2", false),
            ("0.0.0.0", 0, "203.0.113.9", true),
            ("0.0.0.0", 0, "2001:db8::1", false),
            ("::", 0, "2001:db8::1", true),
            ("::", 0, "10.0.0.1", false),
            ("::", 0, "::ffff:10.0.0.1", false),
            ("::ffff:10.0.0.0", 104, "10.9.9.9", true),
            ("::ffff:10.0.0.0", 104, "11.0.0.0", false),
            ("2001:db8:1::", 32, "2001:db8:ffff::1", true),
            ("2001:db8:1::", 48, "2001:db8:2::1", false),
        ];
        for (address, length, asked, expect) in table {
            let cidr = Cidr::new(address.parse().unwrap(), length).unwrap();
            assert_eq!(cidr.contains(asked.parse().unwrap()), expect, "{cidr:?} {asked}");
        }
        let long = |address: &str, length| Cidr::new(address.parse().unwrap(), length);
        assert_eq!(long("10.0.0.0", 33), Err(Error::PrefixLength));
        assert_eq!(long("::", 129), Err(Error::PrefixLength));
    }
}
