import Failures

/// Options that repeat and belong together, such as `--lora` and `--lora-scale`: the k-th value of each belongs to the
/// k-th file.
enum RepeatedOptions {
    /// The value for each of `count` files: one that was given once holds for all, and nil stands for the default.
    ///
    /// - Parameters:
    ///   - option: the values' option, `--lora-scale`.
    ///   - files: the option that names the files, `--lora`.
    /// - Throws: `Failure.usage` for values without a file, and for any other count.
    static func values<Value>(_ values: [Value], _ option: String, for files: String, count: Int) throws -> [Value?] {
        if values.isEmpty { return Array(repeating: nil, count: count) }
        guard count > 0 else { throw Failure.usage("\(option): given without \(files), to which it belongs") }
        if values.count == 1 { return Array(repeating: values[0], count: count) }
        guard values.count == count else {
            let expected = count == 1 ? "1 value" : "1 value, or \(count)"
            throw Failure.usage(
                "\(option): expected \(expected), one for each \(files), found \(values.count)")
        }
        return values
    }
}
