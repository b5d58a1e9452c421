import ReferenceKernels
import TensorKernels
import Testing

/// Who may write to a tensor's memory: its draft alone, and a value that others hold never changes.
@Suite struct TensorDraftTests {
    private func tensor(_ shape: [Int], seed: UInt64 = 1, in context: ComputeContext) -> Tensor {
        DoubleTensor(normal: shape, seed: seed).tensor(in: context)
    }

    /// Writes zeros over a tensor, and says whether they went to its own memory.
    private func overwrite(_ x: consuming Tensor, in context: ComputeContext) -> (zeros: Tensor, isInPlace: Bool) {
        let place = x.place
        var draft = x.draft(in: context)
        draft.withUnsafeMutableBytes { bytes in for place in bytes.indices { bytes[place] = 0 } }
        let zeros = draft.finished()
        return (zeros, zeros.place == place)
    }

    @Test(arguments: ElementType.allCases)
    func draftOfASoleTensorIsItself(type: ElementType) throws {
        let context = try ComputeContext(threads: 2, elementType: type, grain: 1)
        let x = tensor([5, 7, 33], in: context)
        let held = context.allocatedByteCount
        let (zeros, isInPlace) = overwrite(consume x, in: context)
        #expect(isInPlace && context.allocatedByteCount == held)
        #expect(zeros.shape == [5, 7, 33] && zeros.elementType == type && zeros.floats.allSatisfy { $0 == 0 })
    }

    @Test(arguments: ElementType.allCases)
    func draftOfASharedTensorIsACopy(type: ElementType) throws {
        let context = try ComputeContext(threads: 2, elementType: type, grain: 1)
        let x = tensor([5, 7, 33], in: context)
        let (before, place) = (x.floats, x.place)
        let (zeros, isInPlace) = overwrite(x, in: context)
        #expect(!isInPlace && zeros.floats.allSatisfy { $0 == 0 })
        #expect(x.place == place && x.floats == before)
        // The copy holds the values that were there.
        #expect(x.draft(in: context).finished().floats == before)
    }

    /// Another shape of the same memory, a closure, an array: each is a holder.
    @Test func everyHolderCounts() throws {
        let context = try ComputeContext(threads: 1)
        let x = tensor([6, 4], in: context)
        let before = x.floats
        let reshaped = x.reshaped([24])
        #expect(!overwrite(consume x, in: context).isInPlace)
        #expect(reshaped.floats == before)
        let closure = { reshaped.floats }
        #expect(!overwrite(reshaped, in: context).isInPlace)
        #expect(closure() == before)
        let several = [tensor([6, 4], in: context)]
        #expect(!overwrite(several[0], in: context).isInPlace)
        #expect(several[0].floats == before)
    }

    /// A weight that computes where its file is mapped: nobody may write there.
    @Test func aMappedFileIsNeverWritten() throws {
        let scratch = try SafetensorsScratch()
        let header = #"{"w":{"dtype":"F32","shape":[4,6],"data_offsets":[0,96]}}"#
        let values = (0..<24).map { Float($0) }
        let file = try SafetensorsFile(
            path: scratch.write(
                SafetensorsScratch.bytes(
                    header: header + String(repeating: " ", count: 64 - header.utf8.count),
                    data: values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) })))
        let context = try ComputeContext(threads: 1)
        let mapped = try Weight(#require(file.tensors["w"])).tensor(in: context)
        #expect(mapped.floats == values && context.allocatedByteCount == 0)
        #expect(!overwrite(consume mapped, in: context).isInPlace)
    }

    @Test(arguments: ElementType.allCases)
    func additionUsesTheFirstsMemoryWhenItIsSole(type: ElementType) throws {
        let context = try ComputeContext(threads: 2, elementType: type, grain: 1)
        let other = tensor([9, 40], seed: 2, in: context)
        let shared = tensor([9, 40], in: context)
        let (before, added) = (shared.floats, other.floats)
        let apart = shared.adding(other, in: context)
        #expect(shared.floats == before && apart.place != shared.place)
        let sole = tensor([9, 40], in: context)
        let (place, held) = (sole.place, context.allocatedByteCount)
        let inPlace = (consume sole).adding(other, in: context)
        #expect(inPlace.place == place && context.allocatedByteCount == held)
        #expect(inPlace.floats == apart.floats && other.floats == added)
        // To itself, where one holder is both.
        let twice = shared.adding(shared, in: context)
        #expect(shared.floats == before && twice.floats == before.map { 2 * $0 })
    }

    /// A draft's memory goes back to the pool when nobody finishes it.
    @Test func anUnfinishedDraftGivesItsMemoryBack() throws {
        let context = try ComputeContext(threads: 1)
        for _ in 0..<3 { _ = TensorDraft(uninitialized: [1000], in: context) }
        #expect(context.allocatedByteCount < 2 * 4096)
    }
}

extension Tensor {
    /// Where the elements are.
    fileprivate var place: UnsafeRawPointer? { withUnsafeBytes { $0.baseAddress } }
}
