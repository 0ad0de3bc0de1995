-- Both primaries run this once, when their volume is empty. Its changes stay out
-- of the binary log: they are the same on both sides already.
SET SESSION sql_log_bin = 0;
CREATE USER 'syncer'@'%' IDENTIFIED BY 'demo';
-- MariaDB has a privilege of its own for SHOW REPLICA STATUS; to MySQL it is a comment.
GRANT REPLICATION SLAVE, REPLICATION CLIENT /*M!100509 , REPLICA MONITOR */ ON *.* TO 'syncer'@'%';
GRANT SELECT, INSERT, UPDATE, CREATE ON syncer.* TO 'syncer'@'%';
GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON shop.* TO 'syncer'@'%';
CREATE DATABASE shop CHARACTER SET utf8mb4;
CREATE TABLE shop.orders (
    id BIGINT PRIMARY KEY AUTO_INCREMENT,
    customer VARCHAR(100) NOT NULL,
    total DECIMAL(12, 2) NOT NULL,
    updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
);
