import Synchronization

/// Owns what layers compute with besides the files themselves: weights in other number formats and in the layouts of
/// the product library. Each is made when it is first asked for.
///
/// They lie in this process's own memory, or in an arena that the ranks of a machine share; where the arena has no room,
/// in private memory again.
public final class WeightStore: Sendable {
    private let state: Mutex<State>

    private struct State {
        var arena: SharedArena?
        var copies: [String: Copy] = [:]
        var anonymousCount = 0
    }

    private struct Copy {
        let buffer: Buffer
        let byteCount: Int
        let isShared: Bool
        /// Whether it was asked for since the last `releaseUnused()`.
        var isUsed: Bool
    }

    public init(arena: SharedArena? = nil) { state = Mutex(State(arena: arena)) }

    /// From now on keeps in `arena` what it makes: for a store whose owner learns of the other ranks after it was made.
    ///
    /// - Precondition: nothing was made yet.
    public func share(in arena: SharedArena) {
        state.withLock { state in
            precondition(state.copies.isEmpty, "what was made can't move")
            state.arena = arena
        }
    }

    /// Whether other processes find what it makes.
    public var isShared: Bool { state.withLock { $0.arena != nil } }

    /// What a store's copies take.
    public struct ByteCounts: Sendable, Equatable {
        /// In memory of this process alone.
        public var privateBytes = 0
        /// In the arena, whoever made them.
        public var sharedBytes = 0
    }

    /// What the copies take that were asked for and not released.
    public var byteCounts: ByteCounts {
        state.withLock { state in
            state.copies.values.reduce(into: ByteCounts()) { counts, copy in
                if copy.isShared { counts.sharedBytes += copy.byteCount } else { counts.privateBytes += copy.byteCount }
            }
        }
    }

    /// Gives back private copies that nobody asked for since the last call, such as layouts for a size of picture that
    /// is no longer computed. Asked for again, they are made again.
    public func releaseUnused() {
        // Their memory goes back after the lock is open again.
        let released = state.withLock { state in
            let unused = state.copies.filter { !$0.value.isUsed && !$0.value.isShared }
            for name in unused.keys { state.copies[name] = nil }
            for name in state.copies.keys { state.copies[name]?.isUsed = false }
            return unused
        }
        withExtendedLifetime(released) {}
    }

    /// The copy of a weight in `form`, which says how the `byteCount` bytes that `fill` writes come from its values.
    func copy(
        of identity: WeightIdentity, as form: String, byteCount: Int, in context: ComputeContext,
        fill: (UnsafeMutableRawPointer) throws -> Void
    ) throws -> Buffer {
        let name = Self.name(identity, form)
        let known = state.withLock { state in
            state.copies[name]?.isUsed = true
            return state.copies[name]?.buffer
        }
        if let known { return known }
        let copy = try make(name, identity, byteCount: byteCount, in: context, fill)
        return state.withLock { state in
            // Another weight with the same values may have been quicker.
            if let known = state.copies[name] { return known.buffer }
            state.copies[name] = copy
            return copy.buffer
        }
    }

    /// Makes the copy in the arena, if there is one and nobody has begun with it: then the others need not.
    func layOut(
        _ identity: WeightIdentity, as form: String, byteCount: Int, fill: (UnsafeMutableRawPointer) throws -> Void
    ) throws {
        let name = Self.name(identity, form)
        guard identity.isOfFile, let arena = state.withLock({ $0.copies[name] == nil ? $0.arena : nil }) else { return }
        try arena.makeBlock(called: name, byteCount: byteCount) { block in
            if let start = block.baseAddress { try fill(start) }
        }
    }

    private static func name(_ identity: WeightIdentity, _ form: String) -> String { "\(identity.text)\u{0}\(form)" }

    private func make(
        _ name: String, _ identity: WeightIdentity, byteCount: Int, in context: ComputeContext,
        _ fill: (UnsafeMutableRawPointer) throws -> Void
    ) throws -> Copy {
        if let arena = state.withLock({ $0.arena }), identity.isOfFile {
            let block = try arena.block(called: name, byteCount: byteCount) { block in
                if let start = block.baseAddress { try fill(start) }
            }
            if let start = block?.baseAddress {
                return Copy(
                    buffer: Buffer(sharing: start, keeping: arena), byteCount: byteCount, isShared: true, isUsed: true)
            }
        }
        let buffer = Buffer(byteCount: byteCount, pool: context.pool)
        try fill(buffer.pointer)
        return Copy(buffer: buffer, byteCount: byteCount, isShared: false, isUsed: true)
    }

    func identity(of stored: StoredTensor) -> WeightIdentity {
        if let (original, values) = stored.derivation { return identity(of: original).derived(values.identity) }
        if stored.mappedPlace != nil {
            return WeightIdentity(text: "\(stored.file)\u{0}\(stored.name)", isOfFile: true)
        }
        let number = state.withLock { state in
            state.anonymousCount += 1
            return state.anonymousCount
        }
        return WeightIdentity(text: "\(number)", isOfFile: false)
    }
}

/// Which values a weight has.
struct WeightIdentity: Sendable {
    let text: String
    /// Whether the values are a file's: then other processes know them by the same text, else it is this store's alone.
    let isOfFile: Bool

    /// The values that come of these by `derivation`.
    func derived(_ derivation: String) -> WeightIdentity {
        WeightIdentity(text: "\(text)\u{0}\(derivation)", isOfFile: isOfFile)
    }
}
