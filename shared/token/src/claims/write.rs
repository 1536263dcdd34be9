use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Actor, Claims, Confirmation, NumericDate};

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", &self.iss)?;
        map.serialize_entry("sub", &self.sub)?;
        match &*self.aud {
            [] => {}
            [one] => map.serialize_entry("aud", one)?,
            many => map.serialize_entry("aud", many)?,
        }
        map.serialize_entry("exp", &self.exp)?;
        entry(&mut map, "nbf", self.nbf.as_ref())?;
        entry(&mut map, "iat", self.iat.as_ref())?;
        entry(&mut map, "jti", self.jti.as_ref())?;
        entry(&mut map, "client_id", self.client_id.as_ref())?;
        if !self.scope.is_empty() {
            map.serialize_entry("scope", &self.scope.to_string())?;
        }
        if !self.roles.is_empty() {
            map.serialize_entry("roles", &self.roles)?;
        }
        entry(&mut map, "sid", self.sid.as_ref())?;
        entry(&mut map, "cnf", self.cnf.as_ref())?;
        entry(&mut map, "act", self.act.as_ref())?;
        for (name, value) in self.other.iter().filter(|(name, _)| !RESERVED.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn entry<M: SerializeMap, T: Serialize>(map: &mut M, name: &str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, value))
}

impl Serialize for NumericDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.seconds())
    }
}

impl Serialize for Confirmation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "jkt", self.jkt.map(|t| t.to_string()).as_ref())?;
        entry(&mut map, "x5t#S256", self.x5t_s256.map(|t| t.to_string()).as_ref())?;
        map.end()
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("sub", &self.sub)?;
        entry(&mut map, "iss", self.iss.as_ref())?;
        entry(&mut map, "act", self.act.as_ref())?;
        map.end()
    }
}

// A member must never be written twice, whatever stands in `other`.
const RESERVED: [&str; 13] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "roles", "sid", "cnf", "act"];
