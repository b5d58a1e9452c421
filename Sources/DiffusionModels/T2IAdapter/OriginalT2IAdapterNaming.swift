/// A T2I-Adapter's names in the layout of the original. A full one has its residual blocks in one row, where diffusers
/// has them level by level.
struct OriginalT2IAdapterNaming: TensorNaming {
    let configuration: T2IAdapterConfiguration

    func places(of key: String) -> [TensorPlace] { [TensorPlace(name(of: key))] }

    func uselessPattern(of name: String) -> String? { nil }

    /// Of `adapter.conv_in.…`, `adapter.body.2.in_conv.…`, `adapter.body.2.resnets.1.block1.…`.
    private func name(of key: String) -> String {
        let words = key.split(separator: ".").map(String.init).dropFirst()
        guard let level = words.dropFirst().first.flatMap({ Int($0) }) else { return words.joined(separator: ".") }
        let rest = Array(words.dropFirst(2))
        let isBlock = rest[0] == "resnets"
        switch configuration.kind {
        case .light:
            let part = isBlock ? ["body"] + rest.dropFirst() : rest
            return "body.\(level).\(part.joined(separator: "."))"
        case .full:
            let block = level * configuration.blocksPerLevel + (isBlock ? Int(rest[1]) ?? 0 : 0)
            return "body.\(block).\(rest.dropFirst(isBlock ? 2 : 0).joined(separator: "."))"
        }
    }
}
