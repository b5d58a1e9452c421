/// Columns as wide as their widest entry: words to the left, numbers to the right.
struct TextTable {
    let header: [String]
    let rows: [[String]]
    /// The headers of the columns that have words.
    let words: Set<String>

    var text: String {
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        return ([header] + rows).map { row in
            let cells = row.enumerated().map { column, text in
                let padding = String(repeating: " ", count: widths[column] - text.count)
                return words.contains(header[column]) ? text + padding : padding + text
            }
            var line = "  " + cells.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}
