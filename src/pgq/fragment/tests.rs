use super::*;

fn read(verb: Verb, data: &str) -> Option<(Parsed, Vec<Option<String>>)> {
    let mut values = ValueBuffer::default();
    let parsed = parse(verb, data.as_bytes(), &mut values).ok();
    let texts = texts(&values);
    assert!(parsed.is_some() || texts.is_empty(), "{data} left values behind");
    parsed.map(|parsed| (parsed, texts))
}

fn texts(values: &ValueBuffer) -> Vec<Option<String>> {
    (0..values.len()).map(|i| values.get(i).map(|bytes| String::from_utf8_lossy(bytes).into_owned())).collect()
}

fn check(verb: Verb, data: &str, columns: &[&str], key: &[&str], expected: &[Option<&str>]) {
    let (parsed, values) = read(verb, data).expect(data);
    assert_eq!(parsed.columns, columns, "{data}");
    assert_eq!(parsed.key, key, "{data}");
    assert_eq!(values.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "{data}");
    let mut again = ValueBuffer::default();
    assert!(parsed.template.read(data.as_bytes(), &mut again), "{data}");
    assert_eq!(texts(&again), values, "{data}");
}

#[test]
fn fragments_of_the_original_triggers() {
    check(
        Verb::Insert,
        r#"(tag,"Weird Col","data",flag) values ('b',null,E'\\x5c','')"#,
        &["tag", "Weird Col", "data", "flag"],
        &[],
        &[Some("b"), None, Some(r"\x5c"), Some("")],
    );
    check(
        Verb::Update,
        r#""user"=NULL,"value"='it''s' where id='1' and "a""b"='null'"#,
        &["user", "value"],
        &["id", "a\"b"],
        &[None, Some("it's"), Some("1"), Some("null")],
    );
    check(Verb::Delete, "a='3' and b='4'", &[], &["a", "b"], &[Some("3"), Some("4")]);
    check(Verb::Update, "tag='bb' where tag='b'", &["tag"], &["tag"], &[Some("bb"), Some("b")]);
}

#[test]
fn blanks_and_a_semicolon_do_not_matter() {
    check(Verb::Insert, " ( A , b )\n VALUES ( 'x' , E'y''z\\\\' ) ; ", &["a", "b"], &[], &[Some("x"), Some("y'z\\")]);
    check(Verb::Update, "a = 'x' , b = null WHERE c = 'z'", &["a", "b"], &["c"], &[Some("x"), None, Some("z")]);
}

#[test]
fn a_condition_may_look_for_null() {
    check(Verb::Delete, "a='3' and b is null", &[], &["a", "b"], &[Some("3"), None]);
    check(Verb::Update, "a=NULL where b IS NULL", &["a"], &["b"], &[None, None]);
    let (parsed, _) = read(Verb::Update, "a='1' where b is null and c='2'").expect("valid");
    let mut values = ValueBuffer::default();
    for other in ["a='1' where b is 'x' and c='2'", "a='1' where b is null and c=null", "a='1' where b='x' and c='2'"] {
        assert!(!parsed.template.read(other.as_bytes(), &mut values), "{other}");
    }
    assert!(parsed.template.read(b"a=null where b is NULL and c=''", &mut values));
}

#[test]
fn other_texts_are_refused_with_their_place() {
    for (verb, data, at) in [
        (Verb::Insert, "", 0),
        (Verb::Insert, "(a) values (1)", 12),
        (Verb::Insert, "(a) values (default)", 12),
        (Verb::Insert, "(a,b) values ('1')", 17),
        (Verb::Insert, "(a) values ('1','2')", 15),
        (Verb::Insert, "(a) values ('1'),('2')", 16),
        (Verb::Insert, "(a) values ('1'); x", 18),
        (Verb::Insert, "(a) values ('1", 14),
        (Verb::Insert, "(a) values (E'\n\\n')", 15),
        (Verb::Insert, "(a) values (nullx)", 12),
        (Verb::Insert, "(a,A) values ('1','2')", 3),
        (Verb::Insert, "(a,\"\") values ('1','2')", 3),
        (Verb::Insert, "(a,é) values ('1','2')", 3),
        (Verb::Insert, "(1a) values ('1')", 1),
        (Verb::Insert, "($a) values ('1')", 1),
        (Verb::Insert, "(a,\"b) values ('1')", 19),
        (Verb::Insert, "(true) values ('1')", 1),
        (Verb::Update, "a='1'", 5),
        (Verb::Update, "a='1' where b=null", 14),
        (Verb::Update, "a='1' where b is 'x'", 17),
        (Verb::Update, "a='1' where b is not null", 17),
        (Verb::Update, "a=a||'1' where b='2'", 2),
        (Verb::Delete, "a='1' or b='2'", 6),
        (Verb::Delete, "a='1' and a='1'", 10),
        (Verb::Delete, "a='1'; drop table t", 7),
        (Verb::Delete, "User='x'", 0),
    ] {
        let mut values = ValueBuffer::default();
        let found = parse(verb, data.as_bytes(), &mut values).map_err(|error| error.at);
        assert_eq!(found.err(), Some(at), "{data}");
        assert!(values.is_empty(), "{data}");
    }
}

#[test]
fn a_template_reads_only_its_own_shape() {
    let (parsed, _) = read(Verb::Update, "a='1' where id='2'").expect("valid");
    let mut values = ValueBuffer::default();
    for other in ["a='1',b='2' where id='2'", "b='1' where id='2'", "a='1' where id='2' and x='1'", "a='1", ""] {
        assert!(!parsed.template.read(other.as_bytes(), &mut values), "{other}");
        assert!(values.is_empty());
    }
    assert!(parsed.template.read(b"a=null where id=E'\\\\'", &mut values));
    assert_eq!(texts(&values), [None, Some("\\".to_owned())]);
}

#[test]
fn values_need_not_be_utf8() {
    let mut values = ValueBuffer::default();
    assert!(parse(Verb::Delete, b"a='\xff\xfe'", &mut values).is_ok());
    assert_eq!(values.get(0), Some(&b"\xff\xfe"[..]));
}

#[test]
fn values_in_one_piece_are_lent_when_they_are_big() {
    let big = "x".repeat(crate::pgq::value_buffer::BIG);
    let data = format!(r"a='{big}',b=E'\\{big}',c='{big}''',d=E'\\{big}\\' where id='{big}'");
    let data = bytes::Bytes::from(data);
    let mut values = ValueBuffer::default();
    values.lend_from(Some(data.clone()));
    assert!(parse(Verb::Update, &data, &mut values).is_ok());
    let expected = [big.clone(), format!(r"\{big}"), format!("{big}'"), format!(r"\{big}\"), big];
    let is_lent = |(i, expected): (u32, String)| {
        let value = values.get(i).expect("not null");
        assert!(value == expected.as_bytes(), "value {i}");
        data.as_ptr_range().contains(&value.as_ptr())
    };
    let lent: Vec<bool> = (0..).zip(expected).map(is_lent).collect();
    assert_eq!(lent, [true, true, false, false, true]);
}

proptest::proptest! {
    #[test]
    fn quoted_values_come_back(texts in proptest::collection::vec(proptest::option::of(".*"), 1..6)) {
        let list: Vec<String> = texts.iter().map(|v| v.as_ref().map_or("null".to_owned(), |v| crate::pg::name::quote_literal(v))).collect();
        let names: Vec<String> = (0..texts.len()).map(|i| format!("c{i}")).collect();
        let data = format!("({}) values ({})", names.join(","), list.join(","));
        let (parsed, values) = read(Verb::Insert, &data).expect("valid");
        proptest::prop_assert_eq!(&parsed.columns, &names);
        proptest::prop_assert_eq!(values, texts);
    }
}
