import Glibc

/// Which file a path means, whatever it is called: `a.png`, `./a.png`, a link to it, or the file's other name.
///
/// Of a file that is not there it is the folder and the name. Devices have none: two outputs may well go to `/dev/null`.
struct FileIdentity: Hashable {
    private let device: dev_t
    private let number: ino_t
    /// In the folder of that number, for what is not there yet.
    private let name: String?

    init?(_ path: String) {
        var trimmed = path[...]
        while trimmed.count > 1, trimmed.last == "/" { trimmed.removeLast() }
        var status = stat()
        if stat(String(trimmed), &status) == 0 {
            guard [.regular, .folder].contains(FileKind(status)) else { return nil }
            name = nil
        } else {
            let parts = trimmed.split(separator: "/", omittingEmptySubsequences: false)
            guard let last = parts.last,
                stat(parts.dropLast().joined(separator: "/") + (parts.count > 1 ? "/" : "."), &status) == 0
            else { return nil }
            name = String(last)
        }
        device = status.st_dev
        number = status.st_ino
    }
}
