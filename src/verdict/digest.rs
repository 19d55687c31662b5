//! A digest of a policy that depends on what it says, and not on how it is written or stored.
//!
//! What serde would write is fed into 64 bits of FNV-1a as tagged names and values. Fields that have their default are not written, so that a field
//! which a later version adds leaves the digest of older policies as it was; the order of fields is that of the type. Floats count by their
//! bits, -0 as 0.

use core::fmt;

use serde::{Serialize, ser};

/// 64 bits, as sixteen hexadecimal digits.
pub(super) fn digest(value: &impl Serialize) -> String {
    let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
    // Nothing in a policy refuses to be written.
    let _ = value.serialize(&mut hash);
    format!("{:016x}", hash.0)
}

struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) -> Result<(), Never> {
        self.bytes(&[tag]);
        self.bytes(&(bytes.len() as u64).to_le_bytes());
        self.bytes(bytes);
        Ok(())
    }
}

/// The error that does not occur.
#[derive(Debug)]
struct Never;

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot be written")
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    fn custom<T: fmt::Display>(_: T) -> Never {
        Never
    }
}

macro_rules! whole {
    ($($name:ident: $of:ty),*) => {
        $(fn $name(self, value: $of) -> Result<(), Never> {
            self.tagged(b'i', &i128::from(value).to_le_bytes())
        })*
    };
}

impl ser::Serializer for &mut Fnv {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    whole!(
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    );

    fn serialize_bool(self, value: bool) -> Result<(), Never> {
        self.tagged(b'b', &[u8::from(value)])
    }

    fn serialize_f32(self, value: f32) -> Result<(), Never> {
        self.serialize_f64(f64::from(value))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Never> {
        self.tagged(b'f', &(value + 0.0).to_bits().to_le_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), Never> {
        self.tagged(b's', value.to_string().as_bytes())
    }

    fn serialize_str(self, value: &str) -> Result<(), Never> {
        self.tagged(b's', value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Never> {
        self.tagged(b'y', value)
    }

    fn serialize_none(self) -> Result<(), Never> {
        self.tagged(b'n', &[])
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Never> {
        self.tagged(b'n', &[])
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Never> {
        self.tagged(b'n', &[])
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Never> {
        self.tagged(b's', variant.as_bytes())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        self.tagged(b'v', variant.as_bytes())?;
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Never> {
        self.tagged(b'[', &[])?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Never> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Never> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Never> {
        self.tagged(b'v', variant.as_bytes())?;
        self.serialize_seq(None)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Never> {
        self.tagged(b'{', &[])?;
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Never> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Self, Never> {
        self.tagged(b'v', variant.as_bytes())?;
        self.serialize_map(None)
    }
}

/// Lists: the elements, and an end.
macro_rules! list {
    ($($of:ident: $element:ident),*) => {
        $(impl ser::$of for &mut Fnv {
            type Ok = ();
            type Error = Never;

            fn $element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Never> {
                self.tagged(b']', &[])
            }
        })*
    };
}

list!(
    SerializeSeq: serialize_element, SerializeTuple: serialize_element, SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

impl ser::SerializeMap for &mut Fnv {
    type Ok = ();
    type Error = Never;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Never> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Never> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Never> {
        self.tagged(b'}', &[])
    }
}

/// Fields: the name and the value of each.
macro_rules! fields {
    ($($of:ident),*) => {
        $(impl ser::$of for &mut Fnv {
            type Ok = ();
            type Error = Never;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Never> {
                self.tagged(b'k', name.as_bytes())?;
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Never> {
                self.tagged(b'}', &[])
            }
        })*
    };
}

fields!(SerializeStruct, SerializeStructVariant);
