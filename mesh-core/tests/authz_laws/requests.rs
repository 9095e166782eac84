//! Random requests.

use crate::dice::{
    AUTHORITIES, DNS, Dice, FIELDS, IDS, IPS, PATHS, QUERIES, SENT, SUBJECTS, VALUES,
};
use crate::spec::*;

impl Dice {
    pub(crate) fn request(&mut self) -> Request {
        let grpc = self.percent(40);
        let path = match grpc && self.percent(85) {
            true => self.pick(&["/pkg.Svc/Do", "/pkg.Svc/Undo"]),
            false => self.pick(PATHS),
        };
        let mut headers = self.some(0, 5, |dice| (dice.pick(FIELDS), dice.pick(SENT)));
        headers.retain(|(name, _)| *name != "content-type");
        if grpc || self.percent(30) {
            let kinds: &[&'static [u8]] = &[b"application/grpc", b"application/grpc+proto"];
            headers.push(("content-type", self.pick(kinds)));
        }
        Request {
            grpc,
            method: self.pick(&["GET", "POST"]),
            authority: self.pick(AUTHORITIES),
            path,
            query: self.percent(15).then(|| self.pick(QUERIES)),
            headers,
            metadata: self.percent(85).then(|| Value::Struct(self.fields(2))),
            route: self
                .percent(95)
                .then(|| self.percent(85).then(|| Value::Struct(self.fields(2)))),
            peer: self.percent(96).then(|| self.peer()),
        }
    }

    fn peer(&mut self) -> Peer {
        let addresses = self
            .percent(93)
            .then(|| (self.pick(IPS), 4711, self.pick(IPS), self.pick(&[80, 443, 8080])));
        Peer { addresses, tls: self.percent(85).then(|| self.tls()) }
    }

    fn tls(&mut self) -> Tls {
        let certificate = self.percent(85).then(|| Certificate {
            uris: if self.percent(70) {
                self.some(1, 1, |dice| dice.pick(IDS))
            } else {
                Vec::new()
            },
            dns: if self.percent(50) { self.some(1, 1, |dice| dice.pick(DNS)) } else { Vec::new() },
            subject: self.pick(SUBJECTS),
        });
        Tls { server_name: self.percent(80).then(|| self.pick(&["shop", "cart"])), certificate }
    }

    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => Value::Null,
            1 => Value::Bool(self.percent(50)),
            2 => Value::Number(self.pick(&[0, 1, 2])),
            3 | 4 => Value::Text(self.pick(VALUES)),
            5 => Value::List(self.some(0, 2, |dice| dice.value(depth - 1))),
            _ => Value::Struct(self.fields(depth - 1)),
        }
    }

    fn fields(&mut self, depth: usize) -> Vec<(&'static str, Value)> {
        let mut fields = Vec::new();
        for (name, percent) in [("k", 85), ("l", 40)] {
            if self.percent(percent) {
                fields.push((name, self.value(depth)));
            }
        }
        fields
    }
}
