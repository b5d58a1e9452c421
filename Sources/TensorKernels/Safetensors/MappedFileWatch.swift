import CMappedFile
import Failures
import Foundation
import Glibc
import Synchronization

/// Ends the job, naming the file, when a mapped file can't be read any more: because another program has cut it short, or
/// its disk fails. A `MappedFile` is checked against its length when it is opened, but stays in use for the whole job.
final class MappedFileWatch: Sendable {
    /// The process has one, since a signal belongs to the process; nil where it can't be had, and then such a signal ends
    /// the process as it always did.
    static let shared = MappedFileWatch()

    private let files = Mutex<[Int32: (path: String, count: Int)]>([:])

    private init?() {
        let descriptor = pilot_mapped_files_watch()
        guard descriptor >= 0 else { return nil }
        Thread.detachNewThread { [weak self] in
            var number: Int32 = -1
            while read(descriptor, &number, 4) != 4 {}
            self?.end(number)
        }
    }

    /// A number to be given to `remove`.
    func add(_ start: UnsafeRawPointer, count: Int, path: String) -> Int32 {
        // An entry must have its name before anyone can fall over it.
        files.withLock { files in
            let number = pilot_mapped_file_add(start, count)
            if number >= 0 { files[number] = (path, count) }
            return number
        }
    }

    func remove(_ number: Int32) {
        files.withLock { files in
            pilot_mapped_file_remove(number)
            files[number] = nil
        }
    }

    private func end(_ number: Int32) {
        let (path, count) = files.withLock { $0[number] } ?? ("a mapped file", 0)
        var status = stat()
        let found = stat(path, &status) == 0 ? Int(status.st_size) : 0
        Uncatchable.end(
            found < count
                ? .badData(
                    "\(path): expected the \(count) bytes that it had when it was opened, found \(found): another "
                        + "program has cut it short while it was read")
                : .missingInput("\(path): can't be read any more; its disk or network may have failed"))
    }
}
