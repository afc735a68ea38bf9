//! Reads Graph's schema (CSDL, the OData Common Schema Definition Language), as far as the excerpts in `fixtures/csdl` use it.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use crate::sim::tenant::http::Version;

/// Types and enums by their name, without `graph.`.
#[derive(Debug, Clone, Default)]
pub(super) struct Schema {
    types: HashMap<String, Type>,
    enums: HashMap<String, Words>,
}

/// An entity or complex type.
#[derive(Debug, Clone, Default)]
pub(super) struct Type {
    base: Option<String>,
    pub(super) is_abstract: bool,
    /// Complex types are part of what holds them; entities stand for themselves.
    pub(super) is_complex: bool,
    members: BTreeMap<String, Member>,
}

/// A property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// `Edm.String`, or a type's name without `graph.`.
    pub(super) kind: String,
    pub(super) collection: bool,
    pub(super) nullable: bool,
}

/// An enum.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    pub(super) members: Vec<String>,
    /// Several may be given, joined by commas.
    pub(super) flags: bool,
}

impl Schema {
    /// Reads an excerpt.
    ///
    /// # Errors
    /// Where it is not what an excerpt looks like.
    pub(super) fn read(xml: &str) -> Result<Self, String> {
        let mut schema = Self::default();
        let mut open: Option<(String, Option<Type>, Words)> = None;
        for tag in tags(xml)? {
            let name = || tag.attribute("Name").ok_or_else(|| format!("<{}> without a name", tag.element));
            match (tag.element, &mut open) {
                ("EntityType" | "ComplexType", _) if !tag.closing => {
                    let kind = Type {
                        base: tag.attribute("BaseType").map(plain),
                        is_abstract: tag.attribute("Abstract") == Some("true"),
                        is_complex: tag.element == "ComplexType",
                        members: BTreeMap::new(),
                    };
                    if tag.empty {
                        schema.types.insert(name()?.to_owned(), kind);
                    } else {
                        open = Some((name()?.to_owned(), Some(kind), Words::default()));
                    }
                }
                ("EnumType", _) if !tag.closing => {
                    let words = Words { flags: tag.attribute("IsFlags") == Some("true"), members: Vec::new() };
                    open = Some((name()?.to_owned(), None, words));
                }
                ("Property" | "NavigationProperty", Some((_, Some(kind), _))) if !tag.closing => {
                    kind.members.insert(name()?.to_owned(), member(&tag)?);
                }
                ("Member", Some((_, None, words))) => words.members.push(name()?.to_owned()),
                ("EntityType" | "ComplexType" | "EnumType", _) => match open.take() {
                    Some((name, Some(kind), _)) => {
                        schema.types.insert(name, kind);
                    }
                    Some((name, None, words)) => {
                        schema.enums.insert(name, words);
                    }
                    None => return Err(format!("</{}> closes nothing", tag.element)),
                },
                _ => {}
            }
        }
        Ok(schema)
    }

    /// With another on top: its types' members are added, its enums replace.
    fn with(mut self, other: Self) -> Self {
        for (name, kind) in other.types {
            let known = self.types.entry(name).or_default();
            let mut members = std::mem::take(&mut known.members);
            members.extend(kind.members);
            *known = Type { members, base: kind.base, ..kind };
        }
        self.enums.extend(other.enums);
        self
    }

    pub(super) fn kind(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    pub(super) fn words(&self, name: &str) -> Option<&Words> {
        self.enums.get(name)
    }

    /// The type, and those it is derived from.
    fn line<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Type> {
        std::iter::successors(self.types.get(name), |kind| self.types.get(kind.base.as_deref()?))
    }

    /// A member of a type or of what it is derived from.
    pub(super) fn member(&self, kind: &str, name: &str) -> Option<&Member> {
        self.line(kind).find_map(|kind| kind.members.get(name))
    }

    /// Whether one type is, or is derived from, another.
    pub(super) fn is(&self, kind: &str, ancestor: &str) -> bool {
        kind == ancestor || self.line(kind).any(|kind| kind.base.as_deref() == Some(ancestor))
    }
}

/// The schema of a version.
pub(super) fn schema(version: Version) -> &'static Schema {
    static V1: OnceLock<Schema> = OnceLock::new();
    static BETA: OnceLock<Schema> = OnceLock::new();
    // infallible: a test reads the excerpts, which are compiled in
    let read = |xml| Schema::read(xml).unwrap_or_default();
    let v1 = || {
        read(include_str!("../../../../fixtures/csdl/v1.0-authentication-methods.xml"))
            .with(read(include_str!("../../../../fixtures/csdl/v1.0-conditional-access.xml")))
            .with(read(include_str!("../../../../fixtures/csdl/supplement.xml")))
    };
    match version {
        Version::V1 => V1.get_or_init(v1),
        Version::Beta => {
            BETA.get_or_init(|| v1().with(read(include_str!("../../../../fixtures/csdl/beta-policies.xml"))))
        }
    }
}

fn plain(name: &str) -> String {
    name.strip_prefix("graph.").unwrap_or(name).to_owned()
}

fn member(tag: &Tag<'_>) -> Result<Member, String> {
    let kind = tag.attribute("Type").ok_or("a property without a type")?;
    let inner = kind.strip_prefix("Collection(").and_then(|kind| kind.strip_suffix(')'));
    Ok(Member {
        kind: plain(inner.unwrap_or(kind)),
        collection: inner.is_some(),
        nullable: tag.attribute("Nullable") != Some("false"),
    })
}

/// One tag of XML.
struct Tag<'a> {
    element: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
    closing: bool,
    empty: bool,
}

impl<'a> Tag<'a> {
    fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// The tags of a text, comments left out. The excerpts hold no text, entities or `>` within attributes.
fn tags(xml: &str) -> Result<Vec<Tag<'_>>, String> {
    let mut tags = Vec::new();
    let mut rest = xml;
    while let Some(at) = rest.find('<') {
        rest = rest.get(at..).unwrap_or("");
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").ok_or("a comment does not end")?.1;
            continue;
        }
        let (inside, after) = rest.get(1..).and_then(|rest| rest.split_once('>')).ok_or("a tag does not end")?;
        rest = after;
        let (inside, empty) = inside.strip_suffix('/').map_or((inside, false), |inside| (inside, true));
        let (inside, closing) = inside.strip_prefix('/').map_or((inside, false), |inside| (inside, true));
        let (element, mut given) = inside.trim().split_once(char::is_whitespace).unwrap_or((inside.trim(), ""));
        let mut attributes = Vec::new();
        while let Some((name, value)) = given.split_once("=\"") {
            let (value, more) =
                value.split_once('"').ok_or_else(|| format!("an attribute of <{element}> does not end"))?;
            attributes.push((name.trim(), value));
            given = more;
        }
        tags.push(Tag { element, attributes, closing, empty });
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_excerpts_are_read_whole() {
        for xml in [
            include_str!("../../../../fixtures/csdl/v1.0-authentication-methods.xml"),
            include_str!("../../../../fixtures/csdl/v1.0-conditional-access.xml"),
            include_str!("../../../../fixtures/csdl/supplement.xml"),
            include_str!("../../../../fixtures/csdl/beta-policies.xml"),
        ] {
            let read = Schema::read(xml).expect("read");
            let count = |element: &str| xml.matches(&format!("<{element} ")).count();
            assert_eq!(read.types.len(), count("EntityType") + count("ComplexType"));
            assert_eq!(read.enums.len(), count("EnumType"));
            let members: usize = read.types.values().map(|kind| kind.members.len()).sum();
            assert_eq!(members, count("Property") + count("NavigationProperty"));
            let words: usize = read.enums.values().map(|words| words.members.len()).sum();
            assert_eq!(words, count("Member"));
        }
    }

    #[test]
    fn members_are_inherited_and_versions_differ() {
        let v1 = schema(Version::V1);
        let fido2 = "fido2AuthenticationMethodConfiguration";
        assert_eq!(v1.member(fido2, "state").expect("inherited").kind, "authenticationMethodState");
        assert!(v1.member(fido2, "passkeyProfiles").expect("its own").collection);
        assert_eq!(v1.member(fido2, "id").expect("every entity has one").kind, "Edm.String");
        assert!(v1.is("iPv6CidrRange", "ipRange") && !v1.is("ipRange", "iPv6CidrRange"));
        assert!(v1.kind("ipRange").expect("there").is_abstract);
        assert!(v1.words("passkeyTypes").expect("there").flags);
        let campaign = "authenticationMethodsRegistrationCampaign";
        assert!(v1.member(campaign, "enforceRegistrationAfterAllowedSnoozes").is_none());
        assert!(schema(Version::Beta).member(campaign, "enforceRegistrationAfterAllowedSnoozes").is_some());
        assert!(v1.kind("hardwareOathAuthenticationMethodConfiguration").is_none());
    }

    #[test]
    fn what_is_no_excerpt_is_refused() {
        for bad in ["<EntityType Name=\"a\"", "<Property><EntityType>", "</EntityType>", "<!-- no end"] {
            assert!(Schema::read(bad).is_err(), "{bad}");
        }
    }
}
