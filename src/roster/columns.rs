//! What a column is, by the names that people's exports give it.

/// What a column tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Column {
    /// User principal name.
    Upn,
    /// Mail address; stands in for the UPN where there is no UPN column.
    Mail,
    /// Display name; the directory's is used, this one is only compared.
    DisplayName,
    /// The serial number of the key this person is to get.
    Serial,
    /// How many keys.
    Keys,
    /// Which kind of key.
    KeyKind,
    /// The device the key is used on first.
    FirstDevice,
    /// The language of letters.
    Language,
    /// A whole address in one cell.
    Address,
    /// Company or department, first line of an address.
    Company,
    /// Street and number.
    Street,
    /// Second line.
    Street2,
    /// Postal code.
    PostalCode,
    /// City.
    City,
    /// State, province, region.
    State,
    /// Country.
    Country,
    /// The same of the spare key's address: the header begins with "spare".
    SpareAddress,
    /// Its company or department.
    SpareCompany,
    /// Its street and number.
    SpareStreet,
    /// Its second line.
    SpareStreet2,
    /// Its postal code.
    SparePostalCode,
    /// Its city.
    SpareCity,
    /// Its state.
    SpareState,
    /// Its country.
    SpareCountry,
}

/// Parts of an address, and the same of the spare key's.
const SPARE: &[(Column, Column)] = &[
    (Column::Address, Column::SpareAddress),
    (Column::Company, Column::SpareCompany),
    (Column::Street, Column::SpareStreet),
    (Column::Street2, Column::SpareStreet2),
    (Column::PostalCode, Column::SparePostalCode),
    (Column::City, Column::SpareCity),
    (Column::State, Column::SpareState),
    (Column::Country, Column::SpareCountry),
];

/// Names by column, as [`normal`] leaves them. The first is the one we use in messages.
const NAMES: &[(Column, &[&str])] = &[
    (
        Column::Upn,
        &[
            "upn",
            "userprincipalname",
            "userprincipal",
            "userupn",
            "principalname",
            "user",
            "username",
            "signinname",
            "benutzerprinzipalname",
            "benutzername",
            "anmeldename",
            "benutzer",
            "gebruikersnaam",
            "aanmeldnaam",
            "nomdutilisateurprincipal",
        ],
    ),
    (
        Column::Mail,
        &["mail", "email", "emailaddress", "mailaddress", "emailadresse", "emailadres", "primarysmtpaddress"],
    ),
    (
        Column::DisplayName,
        &["displayname", "name", "fullname", "anzeigename", "vollständigername", "weergavenaam", "naam", "nom"],
    ),
    (
        Column::Serial,
        &["serial", "serialnumber", "serialno", "keyserial", "sn", "seriennummer", "serienummer", "numérodesérie"],
    ),
    (
        Column::Keys,
        &[
            "keys",
            "count",
            "keycount",
            "numberofkeys",
            "quantity",
            "qty",
            "anzahl",
            "anzahlschlüssel",
            "schlüsselanzahl",
            "aantal",
            "aantalsleutels",
        ],
    ),
    (
        Column::KeyKind,
        &[
            "keykind",
            "keytype",
            "keymodel",
            "kind",
            "model",
            "aaguid",
            "schlüsseltyp",
            "schlüsselmodell",
            "modell",
            "sleuteltype",
        ],
    ),
    (
        Column::FirstDevice,
        &[
            "firstdevice",
            "device",
            "os",
            "platform",
            "erstesgerät",
            "gerät",
            "betriebssystem",
            "eersteapparaat",
            "apparaat",
        ],
    ),
    (
        Column::Language,
        &["language", "preferredlanguage", "lang", "locale", "sprache", "taal", "langue", "idioma", "język"],
    ),
    (
        Column::Address,
        &["address", "postaladdress", "shippingaddress", "adresse", "anschrift", "lieferadresse", "adres"],
    ),
    (Column::Company, &["company", "companyname", "firma", "unternehmen", "bedrijf"]),
    (
        Column::Street,
        &["street", "streetaddress", "address1", "addressline1", "street1", "straße", "strasse", "straat"],
    ),
    (Column::Street2, &["street2", "address2", "addressline2", "adresszusatz", "toevoeging"]),
    (Column::PostalCode, &["postalcode", "postcode", "zip", "zipcode", "plz", "postleitzahl"]),
    (Column::City, &["city", "town", "locality", "ort", "stadt", "plaats", "woonplaats", "stad"]),
    (Column::State, &["state", "province", "region", "stateorprovince", "bundesland", "provincie"]),
    (Column::Country, &["country", "countryorregion", "land", "landregion", "landoderregion", "pays"]),
];

impl Column {
    /// The column with this header, if it is one of ours.
    pub fn named(header: &str) -> Option<Self> {
        let name = normal(header);
        let called = |name: &str| NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(column, _)| *column);
        called(&name).or_else(|| called(name.strip_prefix("spare")?)?.of_spare())
    }

    /// The same part of the spare key's address.
    pub fn of_spare(self) -> Option<Self> {
        SPARE.iter().find(|(part, _)| *part == self).map(|(_, spare)| *spare)
    }

    /// The column that an unknown header was probably meant to be: one letter or two away from a long name of ours.
    /// Short names are left alone, for "County" is neither count nor country.
    pub fn nearest(header: &str) -> Option<Self> {
        let name = normal(header);
        NAMES
            .iter()
            .flat_map(|(column, names)| names.iter().map(move |known| (*column, *known)))
            .filter(|(_, known)| known.len() > 7)
            .map(|(column, known)| (strsim::damerau_levenshtein(&name, known), column))
            .filter(|(distance, _)| *distance <= 2)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, column)| column)
    }

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Upn => "upn",
            Self::Mail => "mail",
            Self::DisplayName => "displayName",
            Self::Serial => "serial",
            Self::Keys => "keys",
            Self::KeyKind => "key_kind",
            Self::FirstDevice => "first_device",
            Self::Language => "language",
            Self::Address => "address",
            Self::Company => "company",
            Self::Street => "street",
            Self::Street2 => "street2",
            Self::PostalCode => "postal_code",
            Self::City => "city",
            Self::State => "state",
            Self::Country => "country",
            Self::SpareAddress => "spare_address",
            Self::SpareCompany => "spare_company",
            Self::SpareStreet => "spare_street",
            Self::SpareStreet2 => "spare_street2",
            Self::SparePostalCode => "spare_postal_code",
            Self::SpareCity => "spare_city",
            Self::SpareState => "spare_state",
            Self::SpareCountry => "spare_country",
        }
    }
}

/// A header without what exports vary: case, blanks, punctuation.
fn normal(header: &str) -> String {
    header.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_as_people_export_them() {
        for (header, column) in [
            ("upn", Column::Upn),
            ("UserPrincipalName", Column::Upn),
            ("User principal name", Column::Upn),
            ("\u{a0}User-Principal Name ", Column::Upn),
            ("Benutzerprinzipalname", Column::Upn),
            ("displayName", Column::DisplayName),
            ("Serial number", Column::Serial),
            ("Serien-Nummer", Column::Serial),
            ("key_kind", Column::KeyKind),
            ("first_device", Column::FirstDevice),
            ("Preferred language", Column::Language),
            ("Number of keys", Column::Keys),
            ("Straße", Column::Street),
            ("STRASSE", Column::Street),
            ("ZIP code", Column::PostalCode),
            ("E-Mail", Column::Mail),
            ("Land/Region", Column::Country),
        ] {
            assert_eq!(Column::named(header), Some(column), "{header}");
        }
        assert_eq!(Column::named("Department"), None);
    }

    #[test]
    fn a_spare_keys_address_is_called_as_an_address_is() {
        for (header, column) in [
            ("spare_address", Column::SpareAddress),
            ("Spare street", Column::SpareStreet),
            ("Spare PLZ", Column::SparePostalCode),
            ("spare city", Column::SpareCity),
            ("Spare-Land", Column::SpareCountry),
        ] {
            assert_eq!(Column::named(header), Some(column), "{header}");
        }
        for (part, spare) in SPARE {
            assert_eq!((part.of_spare(), Column::named(spare.name())), (Some(*spare), Some(*spare)));
        }
        assert_eq!(Column::named("spare upn"), None);
    }

    #[test]
    fn no_name_means_two_columns() {
        let mut all: Vec<&str> = NAMES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (column, names) in NAMES {
            assert!(names.iter().all(|name| normal(name) == **name), "{column:?}");
            assert_eq!(Column::named(column.name()), Some(*column));
        }
    }

    #[test]
    fn misspelt_headers_are_recognised_as_such() {
        assert_eq!(Column::nearest("UserPrincpalName"), Some(Column::Upn));
        assert_eq!(Column::nearest("first_devise"), Some(Column::FirstDevice));
        for own in ["Department", "County", "Stage", "Role", "Users", "Date"] {
            assert_eq!(Column::nearest(own), None, "{own}");
        }
    }
}
