//! Who lives in a simulated tenant: made up, or read from a CSV.

use super::seed::Seed;
use super::spec::{PersonSpec, SpecError, UserType};

/// Given name, family name, and the UPN's first part. UPNs are plain ASCII, as Entra wants them; an apostrophe is
/// allowed there and is the classic that breaks `$filter`.
const NAMES: [(&str, &str, &str); 24] = [
    ("Amira", "Haddad", "amira.haddad"),
    ("Siobhán", "O'Reilly", "siobhan.o'reilly"),
    ("Jürgen", "Müller-Lüdenscheidt", "juergen.mueller"),
    ("明", "王", "ming.wang"),
    ("Zoë", "Fernández", "zoe.fernandez"),
    ("Kwame", "Mensah", "kwame.mensah"),
    ("Łukasz", "Wiśniewski", "lukasz.wisniewski"),
    ("Priya", "Raghunathan", "priya.raghunathan"),
    ("Bjørn", "Ångström", "bjorn.angstrom"),
    ("Chiara", "D'Angelo", "chiara.dangelo"),
    ("Dmytro", "Шевченко", "dmytro.shevchenko"),
    ("Aylin", "Yıldız", "aylin.yildiz"),
    ("João", "Gonçalves", "joao.goncalves"),
    ("Noor", "van der Berg", "noor.vanderberg"),
    ("Haruka", "佐藤", "haruka.sato"),
    ("Eleni", "Παπαδοπούλου", "eleni.papadopoulou"),
    ("Tamar", "כהן", "tamar.cohen"),
    ("Rashid", "الفارسي", "rashid.alfarsi"),
    ("Māra", "Bērziņa", "mara.berzina"),
    ("Thu", "Nguyễn", "thu.nguyen"),
    ("Mwangi", "Kamau", "mwangi.kamau"),
    ("Iñaki", "Etxeberria", "inaki.etxeberria"),
    ("Sofie", "Sørensen", "sofie.sorensen"),
    ("Grace", "Whitfield", "grace.whitfield"),
];

/// `count` plausible people: ordinary members, enabled, without passkeys, all in the group `Key holders`.
/// The same seed makes the same people.
pub fn people_default(count: usize, seed: u64) -> Vec<PersonSpec> {
    let seed = Seed(seed);
    let start = usize::from(seed.bytes("people", 1).first().copied().unwrap_or(0));
    (0..count)
        .map(|index| {
            let (given, family, local) = NAMES[(start + index) % NAMES.len()];
            // From the second round on a number tells namesakes apart.
            let round = index / NAMES.len();
            let number = if round == 0 { String::new() } else { (round + 1).to_string() };
            let upn = format!("{local}{number}@contoso.example");
            PersonSpec {
                id: Some(seed.guid(&format!("user {upn}"))),
                display_name: Some(if round == 0 {
                    format!("{given} {family}")
                } else {
                    format!("{given} {family} {number}")
                }),
                groups: vec!["Key holders".into()],
                ..PersonSpec::new(upn)
            }
        })
        .collect()
}

/// The columns a CSV of people may have.
const COLUMNS: [&str; 8] = ["upn", "id", "display_name", "user_type", "enabled", "roles", "groups", "passkeys"];

/// Reads people from a CSV with a header; only `upn` is needed. Several roles or groups are joined by `;`.
///
/// # Errors
/// [`SpecError::Format`] with the line; an unknown column names the nearest right one.
pub fn people_from_csv(text: &str, origin: &str) -> Result<Vec<PersonSpec>, SpecError> {
    let wrong = |message: String| SpecError::Format { path: origin.into(), message };
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let mut columns = Vec::new();
    for name in &header {
        // `displayName` and `userType` are Graph's spelling of ours.
        let plain = name.replace('_', "").to_lowercase();
        let known = COLUMNS.iter().find(|known| known.replace('_', "") == plain).ok_or_else(|| {
            let nearest = COLUMNS.iter().min_by_key(|known| strsim::damerau_levenshtein(known, name)).unwrap_or(&"upn");
            wrong(format!("line 1: there is no column `{name}`\nNext: did you mean `{nearest}`?"))
        })?;
        columns.push(*known);
    }
    if !columns.contains(&"upn") {
        return Err(wrong("line 1: the column `upn` is missing".into()));
    }
    let mut people = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| wrong(error.to_string()))?;
        let line = row.position().map_or(0, csv::Position::line);
        let mut person = PersonSpec::new("");
        for (column, field) in columns.iter().zip(&row) {
            if field.is_empty() {
                continue;
            }
            let list = || field.split(';').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
            let bad = |what: &str| wrong(format!("line {line}: `{column}` is `{field}`, but should be {what}"));
            match *column {
                "upn" => person.upn = field.to_owned(),
                "id" => person.id = Some(field.to_owned()),
                "display_name" => person.display_name = Some(field.to_owned()),
                "user_type" if field.eq_ignore_ascii_case("member") => person.user_type = UserType::Member,
                "user_type" if field.eq_ignore_ascii_case("guest") => person.user_type = UserType::Guest,
                "user_type" => return Err(bad("Member or Guest")),
                "enabled" => person.enabled = field.to_lowercase().parse().map_err(|_| bad("true or false"))?,
                "roles" => person.roles = list(),
                "groups" => person.groups = list(),
                _ => person.passkeys = field.parse().map_err(|_| bad("a number"))?,
            }
        }
        if person.upn.is_empty() {
            return Err(wrong(format!("line {line}: `upn` is empty")));
        }
        people.push(person);
    }
    Ok(people)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_people_are_distinct_and_awkward() {
        let people = people_default(50, 3);
        let upns: std::collections::HashSet<_> = people.iter().map(|p| p.upn.clone()).collect();
        assert_eq!(upns.len(), 50);
        assert!(people.iter().any(|p| p.upn.contains('\'')));
        assert!(people.iter().any(|p| p.display_name.as_deref().is_some_and(|n| !n.is_ascii())));
        assert!(people.iter().all(|p| p.upn.is_ascii() && p.upn.len() <= 64));
        assert_eq!(people_default(2, 9)[1].id, people_default(2, 9)[1].id);
    }

    #[test]
    fn people_come_from_csv() {
        let people = people_from_csv(include_str!("../../../fixtures/sim/tenant/people.csv"), "people.csv")
            .expect("the example");
        assert_eq!(people.len(), 3);
        assert_eq!(people[1].user_type, UserType::Guest);
        assert_eq!(people[2].roles, ["Global Administrator", "User Administrator"]);
        assert_eq!(people[2].passkeys, 2);
        assert!(!people[0].enabled);
    }

    #[test]
    fn a_bad_csv_says_where() {
        let error = |text: &str| people_from_csv(text, "p.csv").expect_err("bad").to_string();
        assert!(error("upn,enabeld\n").contains("did you mean `enabled`?"));
        assert!(error("id\nx\n").contains("`upn` is missing"));
        assert!(error("upn,enabled\na@b,perhaps\n").contains("line 2"));
    }
}
