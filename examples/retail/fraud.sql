CREATE ALERT unusual_amount AS SELECT customer, line, amount, why, because FROM fraud WHERE reason = 'unusual amount'
  NOTIFY CONSOLE MESSAGE 'Customer {customer}, purchase {line}: {why}';

CREATE ALERT busy_day AS SELECT customer, line, why, because FROM fraud WHERE reason = 'busy day'
  NOTIFY CONSOLE MESSAGE 'Customer {customer}, {why}: lines {because}';
