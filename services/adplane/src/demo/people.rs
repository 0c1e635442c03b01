//! The customers of the shop, as the file has them: untidy is fine, the audience service tidies and refuses.

use std::{collections::HashMap, path::Path};

use proto::{audiences::v1::Member, conversions::v1::UserData};

use super::{mistake::Mistakes, table};

const COLUMNS: [&str; 11] = [
    "customer_no",
    "email",
    "phone",
    "first_name",
    "last_name",
    "gender",
    "date_of_birth",
    "city",
    "state",
    "zip",
    "country",
];

/// The rows in the file's order, and where each customer stands among them.
pub(crate) struct People {
    pub(crate) members: Vec<Member>,
    /// The line and the customer's number of each row, for pointing at it.
    places: Vec<(u64, String)>,
    by_number: HashMap<String, usize>,
}

impl People {
    /// Where a row stands in the file: `line 445 (customer 444)`. Rows are counted from 0.
    pub(crate) fn place(&self, row: i64) -> String {
        match usize::try_from(row).ok().and_then(|row| self.places.get(row)) {
            Some((line, number)) => format!("line {line} (customer {number})"),
            None => format!("row {row}"),
        }
    }

    /// What is known of a customer, for matching an order with a person. Everybody has at least the number.
    pub(crate) fn user_data(&self, customer: &str) -> UserData {
        let known = self.by_number.get(customer).and_then(|at| self.members.get(*at));
        let Some(member) = known else {
            return UserData { external_id: vec![customer.to_owned()], ..UserData::default() };
        };
        let list = |value: &str| if value.is_empty() { Vec::new() } else { vec![value.to_owned()] };
        UserData {
            em: list(&member.email),
            ph: list(&member.phone),
            r#fn: member.first_name.clone(),
            ln: member.last_name.clone(),
            ge: member.gender.clone(),
            db: member.date_of_birth.clone(),
            ct: member.city.clone(),
            st: member.state.clone(),
            zp: member.zip.clone(),
            country: member.country.clone(),
            external_id: vec![customer.to_owned()],
            ..UserData::default()
        }
    }
}

/// Reads the file.
pub(crate) fn read(file: &Path) -> Result<People, Mistakes> {
    let rows = table::read(file, &COLUMNS, |line| {
        if line.get("customer_no").is_empty() {
            return Err(line.mistake("customer_no", "is empty"));
        }
        let member = Member {
            email: line.get("email").to_owned(),
            phone: line.get("phone").to_owned(),
            first_name: line.get("first_name").to_owned(),
            last_name: line.get("last_name").to_owned(),
            gender: line.get("gender").to_owned(),
            date_of_birth: line.get("date_of_birth").to_owned(),
            city: line.get("city").to_owned(),
            state: line.get("state").to_owned(),
            zip: line.get("zip").to_owned(),
            country: line.get("country").to_owned(),
            ..Member::default()
        };
        Ok(((line.number(), line.get("customer_no").to_owned()), member))
    })?;
    let (places, members): (Vec<(u64, String)>, Vec<Member>) = rows.into_iter().unzip();
    let by_number = places.iter().enumerate().map(|(at, (_, number))| (number.clone(), at)).collect();
    Ok(People { members, places, by_number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_named_by_its_line_and_its_customer() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let row = |number: &str| format!("{number},a@example.com,,,,,,,,,\n");
        let text = format!("{}\n{}\n{}{}", COLUMNS.join(","), row("900"), row("17"), row("4"));
        std::fs::write(file.path(), text).unwrap();
        let people = read(file.path()).unwrap();
        assert_eq!(people.place(0), "line 2 (customer 900)");
        assert_eq!(people.place(1), "line 4 (customer 17)"); // line 3 is blank
        assert_eq!(people.place(2), "line 5 (customer 4)");
        assert_eq!(people.place(3), "row 3");
        assert_eq!(people.user_data("17").em, ["a@example.com"]);
    }
}
