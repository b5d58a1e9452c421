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
