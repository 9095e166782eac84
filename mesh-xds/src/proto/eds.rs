//! `envoy.config.endpoint.v3.ClusterLoadAssignment`, walked where it lies.
//!
//! Each type here is one message with the fields that we act on or must validate, borrowed from the
//! bytes. Lists stay raw ([`Repeated`]): the caller decides which elements it decodes. As protobuf
//! says, the last value of a scalar wins and a message that stands twice is merged.

pub use super::labels::Labels;
use super::wire::{Field, Fields, WireError};

/// `ClusterLoadAssignment`, without its endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// `cluster_name`.
    pub cluster_name: &'a str,
    /// `policy.drop_overloads`, each a raw `DropOverload`.
    pub drops: Vec<&'a [u8]>,
    /// `endpoints`, each a raw `LocalityLbEndpoints`.
    pub localities: Vec<&'a [u8]>,
}

impl<'a> Assignment<'a> {
    /// Reads the message in `bytes`.
    ///
    /// # Errors
    /// [`WireError`] if it is not one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut message = Self::default();
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => message.cluster_name = field.text()?,
                2 => message.localities.push(field.bytes()?),
                4 => {
                    for field in Fields::new(field.bytes()?) {
                        let field = field?;
                        if field.number == 2 {
                            message.drops.push(field.bytes()?);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(message)
    }
}

/// `ClusterLoadAssignment.Policy.DropOverload`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropOverload<'a> {
    /// `category`.
    pub category: &'a str,
    /// `drop_percentage.numerator`.
    pub numerator: u32,
    /// `drop_percentage.denominator`: 0 is a hundred, 1 ten thousand, 2 a million.
    pub denominator: u32,
}

impl<'a> DropOverload<'a> {
    /// Reads the message in `bytes`.
    ///
    /// # Errors
    /// [`WireError`] if it is not one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut message = Self::default();
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => message.category = field.text()?,
                2 => {
                    for field in Fields::new(field.bytes()?) {
                        let field = field?;
                        match field.number {
                            1 => message.numerator = field.uint32()?,
                            2 => message.denominator = field.uint32()?,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(message)
    }
}

/// `LocalityLbEndpoints`, without its endpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Locality<'a> {
    /// `locality`, if it is set.
    pub name: Option<LocalityName<'a>>,
    /// `load_balancing_weight`, if it is set.
    pub weight: Option<u32>,
    /// `priority`.
    pub priority: u32,
    /// Whether `leds_cluster_locality_config` is set, so that the endpoints are elsewhere.
    pub is_leds: bool,
    /// `lb_endpoints`.
    pub endpoints: Repeated<'a>,
}

/// `envoy.config.core.v3.Locality`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LocalityName<'a> {
    /// `region`.
    pub region: &'a str,
    /// `zone`.
    pub zone: &'a str,
    /// `sub_zone`.
    pub sub_zone: &'a str,
}

impl<'a> Locality<'a> {
    /// Reads the message in `bytes`, all but its endpoints.
    ///
    /// # Errors
    /// [`WireError`] if it is not one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut message =
            Self { endpoints: Repeated { bytes, number: 2, len: 0 }, ..Self::default() };
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => {
                    let name = message.name.get_or_insert_default();
                    for field in Fields::new(field.bytes()?) {
                        let field = field?;
                        match field.number {
                            1 => name.region = field.text()?,
                            2 => name.zone = field.text()?,
                            3 => name.sub_zone = field.text()?,
                            _ => {}
                        }
                    }
                }
                2 => {
                    field.bytes()?;
                    message.endpoints.len += 1;
                }
                3 => wrapped(&field, &mut message.weight)?,
                5 => message.priority = field.uint32()?,
                8 => message.is_leds = true,
                _ => {}
            }
        }
        Ok(message)
    }
}

/// The elements of a repeated message field, raw. Only [`Locality::read`] makes one, after it has
/// checked the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeated<'a> {
    bytes: &'a [u8],
    number: u32,
    len: usize,
}

impl<'a> Repeated<'a> {
    /// How many elements there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The elements.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let number = self.number;
        let fields = Fields::new(self.bytes).filter_map(Result::ok);
        fields.filter(move |f| f.number == number).filter_map(|f| f.bytes().ok())
    }
}

/// `LbEndpoint`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// `endpoint`, if it is set (and not `endpoint_name`).
    pub is_inline: bool,
    /// `endpoint.address`, if it is set.
    pub address: Option<Address<'a>>,
    /// `endpoint.additional_addresses`, the address of each.
    pub more: Vec<Option<Address<'a>>>,
    /// `endpoint.hostname`; empty if it is not set.
    pub hostname: &'a str,
    /// `health_status`.
    pub health: u32,
    /// `load_balancing_weight`, if it is set.
    pub weight: Option<u32>,
    /// What `metadata.filter_metadata` says under the keys that are known.
    pub labels: Labels<'a>,
}

impl<'a> Endpoint<'a> {
    /// Reads the message in `bytes`.
    ///
    /// # Errors
    /// [`WireError`] if it is not one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut message = Self::default();
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => {
                    message.is_inline = true;
                    message.read_inline(field.bytes()?)?;
                }
                2 => message.health = field.uint32()?,
                3 => super::labels::read(field.bytes()?, &mut message.labels)?,
                4 => wrapped(&field, &mut message.weight)?,
                5 => message.is_inline = false,
                _ => {}
            }
        }
        Ok(message)
    }

    fn read_inline(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => self.address.get_or_insert_default().read(field.bytes()?)?,
                3 => self.hostname = field.text()?,
                4 => {
                    let mut address: Option<Address<'a>> = None;
                    for field in Fields::new(field.bytes()?) {
                        let field = field?;
                        if field.number == 1 {
                            address.get_or_insert_default().read(field.bytes()?)?;
                        }
                    }
                    self.more.push(address);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// `envoy.config.core.v3.Address`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Address<'a> {
    /// No member of the oneof that we know of.
    #[default]
    Unset,
    /// `socket_address`.
    Socket(SocketAddress<'a>),
    /// `pipe.path`.
    Pipe(&'a str),
    /// `envoy_internal_address`.
    Internal,
}

/// `envoy.config.core.v3.SocketAddress`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketAddress<'a> {
    /// `protocol`: 0 is TCP, 1 is UDP.
    pub protocol: u32,
    /// `address`.
    pub address: &'a str,
    /// `port_value`, if it is set (and not `named_port`).
    pub port: Option<u32>,
    /// Whether `resolver_name` is set.
    pub has_resolver: bool,
}

impl<'a> Address<'a> {
    fn read(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => {
                    let mut socket = match *self {
                        Self::Socket(socket) => socket,
                        Self::Unset | Self::Pipe(_) | Self::Internal => SocketAddress::default(),
                    };
                    socket.read(field.bytes()?)?;
                    *self = Self::Socket(socket);
                }
                2 => {
                    let mut path = "";
                    for field in Fields::new(field.bytes()?) {
                        let field = field?;
                        if field.number == 1 {
                            path = field.text()?;
                        }
                    }
                    *self = Self::Pipe(path);
                }
                3 => *self = Self::Internal,
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> SocketAddress<'a> {
    fn read(&mut self, bytes: &'a [u8]) -> Result<(), WireError> {
        for field in Fields::new(bytes) {
            let field = field?;
            match field.number {
                1 => self.protocol = field.uint32()?,
                2 => self.address = field.text()?,
                3 => self.port = Some(field.uint32()?),
                4 => self.port = None,
                5 => self.has_resolver = !field.bytes()?.is_empty(),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reads a `google.protobuf.UInt32Value`: 0 unless it says otherwise.
fn wrapped(field: &Field<'_>, into: &mut Option<u32>) -> Result<(), WireError> {
    let number = into.get_or_insert(0);
    for field in Fields::new(field.bytes()?) {
        let field = field?;
        if field.number == 1 {
            *number = field.uint32()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::{core::v3 as core, endpoint::v3 as eds};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Assignment::read(&bytes);
            let _ = DropOverload::read(&bytes);
            let _ = Endpoint::read(&bytes);
            if let Ok(locality) = Locality::read(&bytes) {
                prop_assert_eq!(locality.endpoints.iter().count(), locality.endpoints.len());
            }
        }

        #[test]
        fn agrees_with_the_generated_decoder(
            bytes in prop::collection::vec(prop::sample::select(&[
                0x08u8, 0x0a, 0x10, 0x12, 0x18, 0x1a, 0x22, 0x2a, 0x42, 0, 1, 2, 3, 4, 5, 6, 7, 8,
            ][..]), 0..40),
        ) {
            // What the full decoder takes, the walk takes, with the same numbers.
            if let Ok(full) = eds::LocalityLbEndpoints::decode(&*bytes) {
                let slim = Locality::read(&bytes).unwrap();
                prop_assert_eq!(slim.priority, full.priority);
                prop_assert_eq!(slim.weight, full.load_balancing_weight.map(|w| w.value));
                prop_assert_eq!(slim.endpoints.len(), full.lb_endpoints.len());
            }
        }
    }

    #[test]
    fn a_message_that_stands_twice_is_merged() {
        let part = |host: &str, port: Option<u32>| {
            let specifier = port.map(core::socket_address::PortSpecifier::PortValue);
            let socket = core::SocketAddress {
                address: host.into(),
                port_specifier: specifier,
                ..Default::default()
            };
            let address = core::address::Address::SocketAddress(socket);
            let endpoint = eds::Endpoint {
                address: Some(core::Address { address: Some(address) }),
                ..Default::default()
            };
            eds::LbEndpoint {
                host_identifier: Some(eds::lb_endpoint::HostIdentifier::Endpoint(endpoint)),
                ..Default::default()
            }
            .encode_to_vec()
        };
        let bytes = [part("10.0.0.1", None), part("", Some(80))].concat();
        let endpoint = Endpoint::read(&bytes).unwrap();
        let socket =
            SocketAddress { address: "10.0.0.1", port: Some(80), ..SocketAddress::default() };
        assert_eq!(endpoint.address, Some(Address::Socket(socket)));
    }
}
