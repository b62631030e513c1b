//! Columns that only some callers may read: the fields and relations with a `read` rule.

use super::{Change, Entity, Expr, Transition, Value};

impl Entity {
    /// Each column with its rule, references first.
    pub fn private_columns(&self) -> Vec<(String, &Expr)> {
        let relations = self
            .belongs
            .iter()
            .filter_map(|r| r.read.as_ref().map(|rule| (r, rule)));
        let columns = relations.flat_map(|(r, rule)| {
            r.type_column()
                .into_iter()
                .chain([r.id_column()])
                .map(move |column| (column, rule))
        });
        let fields = self
            .fields
            .iter()
            .filter_map(|f| f.read.as_ref().map(|rule| (f.name.clone(), rule)));
        columns.chain(fields).collect()
    }

    pub fn is_private(&self, column: &str) -> bool {
        self.private_columns()
            .iter()
            .any(|(name, _)| name == column)
    }

    /// Whether the transition can be made from the row's state depends on such a column.
    pub fn starts_unseen(&self, transition: &Transition) -> bool {
        match &transition.change {
            Change::State { field, .. } => self.is_private(field),
            Change::Set(_) => transition.columns().any(|column| self.is_private(column)),
        }
    }

    /// Whether a rule or condition of this entity uses such a column.
    pub fn reads_private(&self, rule: &Expr) -> bool {
        let private: Vec<String> = self
            .private_columns()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        !private.is_empty() && reads(self, rule, &private)
    }
}

fn reads(entity: &Entity, expr: &Expr, columns: &[String]) -> bool {
    let relation = |index: usize| columns.contains(&entity.belongs[index].id_column());
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().any(|p| reads(entity, p, columns)),
        Expr::Not(part) => reads(entity, part, columns),
        Expr::Condition(index) => reads(entity, &entity.conditions[*index].expr, columns),
        Expr::Of { relation: r, .. } | Expr::MeIs { relation: r } => relation(*r),
        Expr::MeHoldsOf { relation: r, .. } => r.is_some_and(relation),
        Expr::MeOutranks { relation: r, of } => r.is_some_and(relation) || of.is_some_and(relation),
        Expr::Compare { left, right, .. } => names_one(left, columns) || names_one(right, columns),
        Expr::In { value, .. } | Expr::IsNull(value) => names_one(value, columns),
        Expr::Flag(name) => columns.contains(name),
        _ => false,
    }
}

fn names_one(value: &Value, columns: &[String]) -> bool {
    match value {
        Value::Column(name) => columns.contains(name),
        Value::Add(a, b) | Value::Sub(a, b) => names_one(a, columns) || names_one(b, columns),
        Value::Literal(_) | Value::Related { .. } => false,
    }
}
