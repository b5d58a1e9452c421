extension AtomicFile {
    private static let mostNamed = 3

    /// Finds out whether files would be written over, which is for those who ask for it.
    ///
    /// - Throws: `Failure.usage` naming those of the files that are there; devices, which keep nothing, don't count.
    public static func checkAreNew(_ paths: [String]) throws {
        let existing = paths.filter { FileKind(at: $0) == .regular }
        guard !existing.isEmpty else { return }
        let rest = existing.count > mostNamed ? " and \(existing.count - mostNamed) more" : ""
        let (are, them) = existing.count == 1 ? ("is", "it") : ("are", "them")
        throw Failure.usage(
            "\(existing.prefix(mostNamed).joined(separator: ", "))\(rest): \(are) there already; name another output, or "
                + "have \(them) written over with --overwrite")
    }
}
