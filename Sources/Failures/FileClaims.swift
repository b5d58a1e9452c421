/// The files of a command, by the options that name them: nothing is written over what the command reads, and no two
/// outputs are one file.
public struct FileClaims {
    private struct Claim {
        let option: String
        let path: String
        let isOutput: Bool
    }

    private var claims: [FileIdentity: Claim] = [:]

    public init() {}

    /// The command reads the file, should there be one.
    public mutating func read(_ path: String?, by option: String) {
        guard let path, let file = FileIdentity(path) else { return }
        claims[file] = Claim(option: option, path: path, isOutput: false)
    }

    /// The command will write the file, should there be one. What it reads comes first.
    ///
    /// - Throws: `Failure.usage` if the file is claimed already.
    public mutating func write(_ path: String?, by option: String) throws {
        guard let path, let file = FileIdentity(path) else { return }
        guard let other = claims[file] else {
            claims[file] = Claim(option: option, path: path, isOutput: true)
            return
        }
        guard other.isOutput else {
            throw Failure.usage(
                "\(option) \(path) would be written over \(other.path), the file of \(other.option); name another file")
        }
        throw Self.sameFile(other, path, option)
    }

    /// The command will make files in the folder, should there be one, whose names begin so.
    ///
    /// - Throws: `Failure.usage` if the folder is a claimed file's name, or a claimed file might be one of these.
    public mutating func write(filesIn folder: String?, beginning: [String], by option: String) throws {
        try write(folder, by: option)
        guard let folder, let place = FileIdentity(folder) else { return }
        for claim in claims.values {
            let parts = claim.path.split(separator: "/", omittingEmptySubsequences: false)
            let parent = parts.count > 1 ? parts.dropLast().joined(separator: "/") + "/" : "."
            guard FileIdentity(parent) == place, let name = parts.last else { continue }
            if beginning.contains(where: name.hasPrefix) { throw Self.sameFile(claim, claim.path, option) }
        }
    }

    private static func sameFile(_ other: Claim, _ path: String, _ option: String) -> Failure {
        let names = other.path == path ? path : "\(other.path) and \(path)"
        return .usage("\(other.option) and \(option) name the same file, \(names); each needs its own")
    }
}
