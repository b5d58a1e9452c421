import Synchronization

/// A picture's file in memory: the result of an edit, and the image of the next.
final class KeptPicture: Sendable {
    private let file = Mutex<[UInt8]>([])

    /// Empty until the picture is there.
    var bytes: [UInt8] { file.withLock { $0 } }

    func keep(_ bytes: [UInt8]) { file.withLock { $0 = bytes } }
}

/// What ties a job to the edits before and after it, when they are repeated in one command.
struct EditLink: Sendable {
    /// Takes the place of the image's file; nil for the first edit.
    var image: KeptPicture?
    /// Takes the place of the output; nil for the last edit.
    var result: KeptPicture?
    /// What the result says, word for word as it did: so its bytes are what they were, wherever files lie now.
    var record: JobRecord?
}
