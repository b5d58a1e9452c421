import Glibc
import Synchronization

/// Makes folders of files so that the folder is there whole or not at all.
public enum AtomicFolder {
    /// Makes the folder `path`: `body` fills one of another name beside it, which is then renamed.
    ///
    /// - Throws: `Failure.usage` if `path` is there already, `Failure.inputOutput` if it can't be made, or what `body`
    ///   throws; in all cases nothing is left.
    public static func make(_ path: String, _ body: (_ partial: String) throws -> Void) throws {
        let target = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        guard access(target, F_OK) != 0 else {
            throw Failure.usage("\(target): is there already; name a folder that is not")
        }
        let partial = "\(target).\(getpid()).partial"
        unfinished.withLock { _ = $0.insert(partial) }
        do {
            if mkdir(partial, 0o777) != 0 { throw makingFailed(target) }
            try body(partial)
            // `rename` would put the folder in the place of an empty one that has come there meanwhile; no harm.
            if rename(partial, target) != 0 { throw makingFailed(target) }
            unfinished.withLock { _ = $0.remove(partial) }
        } catch {
            remove(partial)
            throw error
        }
    }

    /// Removes the folders that are being filled, for a process that is about to be ended by a signal; see
    /// `AtomicFile.removeUnfinished()`.
    static func removeUnfinished() {
        for partial in unfinished.withLock({ $0 }) { remove(partial) }
    }

    // As with files: a signal concerns the whole process, so what it must clean up is the process's.
    private static let unfinished = Mutex<Set<String>>([])

    private static func remove(_ partial: String) {
        removeTree(partial)
        unfinished.withLock { _ = $0.remove(partial) }
    }

    /// What can't be removed is left: there is nobody to tell.
    private static func removeTree(_ path: String) {
        // A link goes as a link; a folder can't be unlinked.
        if unlink(path) == 0 { return }
        if let folder = opendir(path) {
            defer { closedir(folder) }
            while let entry = readdir(folder) {
                let name = withUnsafeBytes(of: entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name != "." && name != ".." { removeTree("\(path)/\(name)") }
            }
        }
        rmdir(path)
    }

    private static func makingFailed(_ path: String) -> Failure {
        .inputOutput("cannot make the folder \(path): \(String(cString: strerror(errno)))")
    }
}
