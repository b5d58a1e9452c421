/// A stranger's text made fit for a one-line message: in quotes, control characters escaped, and cut when it is long.
public func quoted(_ text: String) -> String {
    let limit = 120
    var result = "\""
    for scalar in text.unicodeScalars.prefix(limit) {
        let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
        let isLineBreakOrDirection = [.lineSeparator, .paragraphSeparator, .format].contains(
            scalar.properties.generalCategory)
        result += isControl || isLineBreakOrDirection ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
    }
    return result + (text.unicodeScalars.count > limit ? "…\"" : "\"")
}

/// A message fit for a person: of one that is far longer than anybody reads, its beginning and its end.
///
/// Strangers' text may be in it: prompts, names of files, values of options.
public func shortened(_ message: String, to limit: Int = 2000) -> String {
    let count = message.count
    guard count > limit else { return message }
    return "\(message.prefix(limit / 2)) … (\(count) characters in all) … \(message.suffix(limit / 4))"
}
