//! A table as a CSV file, for people: what programs read comes from `export`.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

use crate::web::PageError;

/// Says that a file is UTF-8: without it Excel takes one for the code page of its Windows, and every Chinese name is garbled.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// The file `name`: a row of column names, then the rows.
pub fn csv(name: &str, columns: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<Response, PageError> {
    let mut writer = csv::Writer::from_writer(BYTE_ORDER_MARK.as_bytes().to_vec());
    writer.write_record(columns).map_err(anyhow::Error::from)?;
    for row in rows {
        writer.write_record(row.iter().map(|cell| plain(cell))).map_err(anyhow::Error::from)?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("{error}"))?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, bytes).into_response())
}

/// A number that may be missing.
pub fn cell(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.6}")).unwrap_or_default()
}

/// A spreadsheet takes what begins with = + - @ for a formula: a quote before it makes it text again. A number below zero
/// stays one.
fn plain(cell: &str) -> String {
    let is_number = cell.starts_with('-') && cell.parse::<f64>().is_ok();
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn names_are_no_formulas_and_numbers_stay_numbers() {
        assert_eq!(plain("-2+3|cmd"), "'-2+3|cmd");
        assert_eq!(plain("=1+1"), "'=1+1");
        assert_eq!(plain("+8613800000000"), "'+8613800000000");
        assert_eq!(plain("-0.250000"), "-0.250000");
        assert_eq!(plain("Ada-Lu"), "Ada-Lu");
    }
}
