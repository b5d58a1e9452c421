import DiffusionModels
import NeuralLayers
import TensorKernels

/// What ranks need of a node's memory, counted from shapes.
///
/// Its constants were fitted to the peaks (`VmHWM`) of `pilot model benchmark` on random models; docs/sharding.md says
/// how far it is off.
public struct MemoryModel: Sendable {
    /// The program and its libraries, threads' stacks and MPI's buffers: a rank that holds next to nothing.
    public static let processBytes = 54 << 20
    /// By how much kernels in the product library's layouts are larger than their numbers: blocks of memory come in
    /// sixteenths of powers of two.
    static let kernelRounding = 1.03
    /// A kernel that is laid out for the gradient is there once more meanwhile, in float32, turned round.
    static let copiesInLayingOut = 1.0
    /// How many times a layer's inputs and outputs the buffers take that are in use while a stage computes, and those of
    /// other sizes that wait in the pool. Kernels are laid out before these have all been asked for.
    static let workingFactor = 9.0
    /// The same for the autoencoder, whose layers grow from one to the next.
    static let pictureWorkingFactor = 2.0

    private let costs: LadderCosts
    private let isRecorded: Bool
    private let keepsNetworks: Bool

    /// - Parameters:
    ///   - isRecorded: whether gradients are asked for.
    ///   - keepsNetworks: whether text encoder and autoencoder stay in memory, for many pictures.
    public init(_ costs: LadderCosts, isRecorded: Bool, keepsNetworks: Bool) {
        self.costs = costs
        self.isRecorded = isRecorded
        self.keepsNetworks = keepsNetworks
    }

    /// What one rank needs, in bytes.
    public struct Share: Sendable, Equatable {
        /// The stage's weights, in the product library's layouts and in mapped files: once for all ranks of a node that
        /// hold the stage.
        public var weights = 0.0
        /// What passes under way hold for their pullbacks, or their skips.
        public var passes = 0.0
        /// What a task computes with.
        public var working = 0.0
        /// Keys and values of prompts.
        public var prompts = 0.0
        /// Text encoder and autoencoder with what they compute with, as far as they come on top of the rest.
        public var pictures = 0.0
        public var process = Double(MemoryModel.processBytes)

        /// All but the weights.
        public var ownBytes: Double { passes + working + prompts + pictures + process }
        public var bytes: Double { weights + ownBytes }
        /// What comes on top of the program itself.
        public var newBytes: Double { bytes - process }
    }

    /// Bytes of a stage's weights: for the gradient kernels once more, turned round, but for those of tiles, which serve both
    /// ways, and once more the weights of linear layers that are in the product library's layout.
    public func weights(of stage: Range<Int>) -> Double {
        let work = costs.work(of: stage) + costs.timeEmbedding
        let direct = (work.kernelParameters - work.tiles.kernelParameters) * (isRecorded ? 2 : 1)
        let kernels = Double(direct + work.tiles.kernelValues) * Self.kernelRounding
        let others = work.parameters - work.kernelParameters + (isRecorded ? work.packedParameters : 0)
        return (kernels + Double(others)) * Double(costs.elementType.byteCount)
    }

    /// Bytes that a stage keeps of one pass: what its pullbacks hold, or its skips.
    public func pass(on stage: Range<Int>) -> Double {
        let float = Double(MemoryLayout<Float>.size)
        guard isRecorded else {
            return costs.rungs[stage].reduce(0) { $0 + Double($1.skip.reduce(1, *)) } * float
        }
        let work = costs.work(of: stage)
        return work.keptElements * Double(costs.elementType.byteCount) + work.keptSums * float
    }

    /// - Parameters:
    ///   - jobs: how many are in flight.
    ///   - passesOfJob: how many passes of a job the rank has at once, each of another branch.
    ///   - hasPictures: whether the rank encodes and decodes.
    ///   - strips: among how many ranks the rows are dealt; this is the one that has the most.
    ///   - pictureStrips: the same of pictures that are encoded and decoded.
    public func share(
        of stage: Range<Int>, jobs: Int, passesOfJob: Int, hasPictures: Bool, strips: Int = 1, pictureStrips: Int = 1
    ) -> Share {
        let rows = rowShare(strips)
        let float = Double(MemoryLayout<Float>.size)
        let work = costs.work(of: stage)
        let passCount = Double(jobs * passesOfJob)
        var share = Share()
        share.weights = weights(of: stage)
        share.passes = rows * passCount * pass(on: stage)
        share.working =
            float
            * max(rows * Self.workingFactor * work.widestLayer, Self.copiesInLayingOut * Double(work.largestKernel))
        if stage != 0..<costs.rungCount { share.working += 2 * passCount * largestMessage(of: stage) }
        share.prompts =
            passCount
            * (work.promptElements * Double(costs.elementType.byteCount) + Double(costs.promptElements) * float)
        if hasPictures {
            // What waits for the UNet's next pass goes back before a picture is worked on, unless more are expected.
            let others = share.passes + share.working
            let pictures = picturesBytes(rowShare(pictureStrips))
            share.pictures = keepsNetworks ? pictures : max(0, pictures - others)
        }
        return share
    }

    /// The largest strip's share of the rows.
    public func rowShare(_ strips: Int) -> Double {
        let rows = (costs.latentHeight + strips - 1) / strips
        return strips > costs.latentHeight ? 1 : Double(rows) / Double(costs.latentHeight)
    }

    /// Weights of text encoder and autoencoder, and what a decode computes with.
    private func picturesBytes(_ rows: Double) -> Double {
        let float = Double(MemoryLayout<Float>.size)
        let pictures = costs.pictures
        let working = max(pictures.decode.widestLayer, pictures.encode.widestLayer)
        // Networks that go when a picture is encoded, or decoded, are not there at the same time.
        let grown = [pictures.encode.tiles, pictures.decode.tiles].map { $0.kernelValues - $0.kernelParameters }
        let tiles = keepsNetworks ? grown.reduce(0, +) : grown.max() ?? 0
        let numbers = Double(pictures.textParameters + pictures.autoencoderParameters + tiles)
        return float * (numbers + rows * Self.pictureWorkingFactor * working + 2 * Double(costs.pictureElements))
    }

    private func largestMessage(of stage: Range<Int>) -> Double {
        Double(Leg.allCases.map { costs.messageBytes(of: $0, from: stage) }.max() ?? 0)
    }
}

/// What a layout needs on every rank and node.
public struct LayoutMemory: Sendable, Equatable {
    /// Consecutive ranks on one machine, and what they need together: weights that several hold counted once.
    public struct Node: Sendable, Equatable {
        public let ranks: Range<Int>
        public let bytes: Double
    }

    /// Of each rank in use, in their order.
    public let ranks: [MemoryModel.Share]
    public let nodes: [Node]

    /// The node that needs the most.
    public var largestNode: Node? { nodes.max { $0.bytes < $1.bytes } }
    /// The rank that needs the most.
    public var largestRank: MemoryModel.Share? { ranks.max { $0.bytes < $1.bytes } }

    /// - Parameters:
    ///   - jobs: in flight, of each replica.
    ///   - ranksPerNode: launchers fill a machine before they go to the next.
    public init(_ layout: Layout, jobs: Int, ranksPerNode: Int, model: MemoryModel) {
        var known: [ShareKey: MemoryModel.Share] = [:]
        var ranks: [MemoryModel.Share] = []
        var stages: [Int] = []
        for rank in 0..<layout.ranks {
            guard let place = layout.place(of: rank) else { continue }
            let key = ShareKey(stage: place.stage, hasPictures: layout.worksOnPictures(rank))
            let share =
                known[key]
                ?? model.share(
                    of: layout.stages[place.stage], jobs: jobs, passesOfJob: layout.passesOfJob,
                    hasPictures: key.hasPictures, strips: layout.strips,
                    pictureStrips: layout.pictureTeam(of: place.replica).count)
            known[key] = share
            ranks.append(share)
            stages.append(place.stage)
        }
        self.ranks = ranks
        nodes = stride(from: 0, to: ranks.count, by: max(1, ranksPerNode)).map { first in
            let onNode = first..<min(ranks.count, first + max(1, ranksPerNode))
            var seen: Set<Int> = []
            let bytes = onNode.reduce(0) { sum, rank in
                sum + ranks[rank].ownBytes + (seen.insert(stages[rank]).inserted ? ranks[rank].weights : 0)
            }
            return Node(ranks: onNode, bytes: bytes)
        }
    }

    private struct ShareKey: Hashable {
        let stage: Int
        let hasPictures: Bool
    }
}
