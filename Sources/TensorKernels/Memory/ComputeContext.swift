import CVectorKernels
import Failures

/// The surroundings of a computation on one rank: threads, memory, number format, product library, and
/// the ranks that hold the rest of its picture.
///
/// Passed to every layer, so that nothing about a computation is global. One thread at a time computes with it; the
/// team of OpenMP threads behind it belongs to that thread.
public final class ComputeContext: Sendable {
    public let threads: Int
    /// The format in which products are computed: of their inputs, and of matrix and convolution weights.
    ///
    /// The sums that run through a network from block to block, where a rounding would stay for good, are float32
    /// whatever this is.
    public let elementType: ElementType
    public let backend: any ProductBackend
    /// Who holds the rows of a picture that this rank does not; nil where there is nobody.
    let strips: Strips?
    let pool: BufferPool
    let kernels: VectorKernels
    private let grain: Int
    /// False where layers only go through their shapes and exchanges, and leave all elements as they are.
    let computes: Bool
    /// With what weights are laid out meanwhile; nil where they are left as they are, too.
    let layingOut: ComputeContext?

    /// Elements that one thread goes through in about the time that handing over to a team and waiting for it takes:
    /// a share of less work than this is done sooner by the thread that has it. A third of a small UNet's loops are
    /// shorter, and each of them would make the computation wait for a core that another program may have.
    public static let grain = 8192

    /// - Parameters:
    ///   - threads: size of the team, at least 1.
    ///   - instructionSet: index into the instruction sets that this processor has, 0 the best; for tests.
    ///   - grain: the least work that a thread is woken for, in elements; for tests.
    /// - Throws: `Failure` of kind internal when the product library can't start, of kind usage when it has no code for
    ///   the format on this processor.
    public init(
        threads: Int, elementType: ElementType = .float32, backend: BackendName = .oneDNN, instructionSet: Int = 0,
        grain: Int = ComputeContext.grain
    ) throws {
        precondition(threads > 0, "a context needs at least one thread")
        self.threads = threads
        self.grain = grain
        self.elementType = elementType
        self.backend = try backend.start(threads: threads)
        guard self.backend.computes(in: elementType) else {
            throw Failure.usage(
                "\(backend.rawValue) computes no \(elementType.rawValue) on this processor, for want of AVX-512; take "
                    + "--dtype float32 or --backend openblas")
        }
        strips = nil
        computes = true
        layingOut = nil
        pool = BufferPool()
        kernels = try VectorKernels(instructionSet: instructionSet)
    }

    /// A context in which layers compute nothing and touch next to no memory, but ask other strips for all that they would
    /// ask for: so what they exchange can be counted for a network of any size at once.
    ///
    /// Elements are whatever was in the memory; weights are not read.
    public convenience init(countingIn elementType: ElementType) throws {
        self.init(idleIn: elementType, kernels: try VectorKernels(instructionSet: 0), layingOut: nil)
    }

    /// A context in which layers compute nothing, but lay out those of their weights that a `WeightStore` shares with other
    /// processes and that none of these has begun with: gone through by all of them at once, it has each lay out a part of
    /// a network.
    ///
    /// - Parameter context: lays them out, as it would when it computes.
    public convenience init(layingOutFor context: ComputeContext) {
        self.init(idleIn: context.elementType, kernels: context.kernels, layingOut: context)
    }

    private init(idleIn elementType: ElementType, kernels: VectorKernels, layingOut: ComputeContext?) {
        threads = 1
        grain = Self.grain
        self.elementType = elementType
        self.kernels = kernels
        self.layingOut = layingOut
        backend = IdleBackend()
        strips = nil
        computes = false
        pool = BufferPool()
    }

    private init(_ other: ComputeContext, elementType: ElementType, strips: Strips?) {
        threads = other.threads
        computes = other.computes
        layingOut = other.layingOut?.with(elementType: elementType)
        grain = other.grain
        self.elementType = elementType
        backend = other.backend
        self.strips = strips
        pool = other.pool
        kernels = other.kernels
    }

    /// The same threads, memory and library computing in another number format.
    public func with(elementType: ElementType) -> ComputeContext {
        elementType == self.elementType
            ? self : ComputeContext(self, elementType: elementType, strips: strips)
    }

    /// The same for a picture of which other ranks hold the rest.
    public func with(_ grid: StripGrid, _ exchange: any StripExchange) -> ComputeContext {
        ComputeContext(
            self, elementType: elementType, strips: grid.strips > 1 ? Strips(grid: grid, exchange: exchange) : nil)
    }

    /// Gives memory that no tensor holds back to the system.
    public func releaseUnusedMemory() { pool.releaseUnused() }

    /// Bytes that tensors hold, and that wait for the next tensor.
    package var allocatedByteCount: Int { pool.allocatedByteCount }

    /// The instruction set the loops were compiled for.
    public var instructionSetName: String { kernels.name }

    /// Splits `0..<count` into one run per thread and waits for all of them; keeps to the calling thread where there is
    /// too little work to share.
    ///
    /// A kernel that must give the same bits on any number of threads makes no sum across the runs.
    /// - Parameter elements: how many elements each of `count` reads or writes, about; more where it computes much with
    ///   them.
    package func parallel(_ count: Int, of elements: Int, _ body: (Range<Int>) -> Void) {
        guard computes else { return }
        // All threads or none: libgomp ends those that a smaller team has no use for.
        let team = count > 1 && count * elements >= 2 * grain ? threads : 1
        guard team > 1 else {
            if count > 0 { body(0..<count) }
            return
        }
        withoutActuallyEscaping(body) { body in
            var region = Region(count: count, body: body)
            withUnsafeMutablePointer(to: &region) { pointer in
                pilot_parallel(
                    Int32(team),
                    { context, thread, team in
                        guard let context else { return }
                        let region = context.assumingMemoryBound(to: Region.self).pointee
                        let first = region.count * Int(thread) / Int(team)
                        let end = region.count * (Int(thread) + 1) / Int(team)
                        if first < end { region.body(first..<end) }
                    }, UnsafeMutableRawPointer(pointer))
            }
        }
    }

    private struct Region {
        let count: Int
        let body: (Range<Int>) -> Void
    }
}
