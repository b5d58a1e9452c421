import Failures
import Foundation
import TensorKernels
import Testing

/// Files that the format's own Python library wrote (`scripts/fixtures/make_checkpoint_fixtures.py`).
@Suite("Safetensors files of the Python library")
struct SafetensorsReadingTests {
    let file: SafetensorsFile

    init() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/Safetensors")
        file = try SafetensorsFile(path: folder.appending(path: "element_types.safetensors").path)
    }

    @Test("names, shapes, types and metadata")
    func header() throws {
        #expect(file.metadata == ["format": "pt", "note": "written by PyTorch"])
        #expect(file.tensors.count == 11)
        #expect(file.tensors["single"]?.shape == [3, 5])
        #expect(file.tensors["single"]?.elementType == .float32)
        #expect(file.tensors["scalar"]?.shape == [])
        #expect(file.tensors["scalar"]?.float32Values() == [0.1])
        #expect(file.tensors["empty"]?.shape == [0, 4])
        #expect(file.tensors["empty"]?.float32Values() == [])
        #expect(file.tensors["integers"]?.elementType == .int64)
        #expect(file.tensors["schlüssel \"é\"\n"]?.float32Values() == [1, 1])
    }

    @Test("16-bit values become the float32 values PyTorch gives, bit for bit", arguments: ["half", "brain"])
    func halves(name: String) throws {
        let stored = try #require(file.tensors[name])
        let expected = try #require(file.tensors["\(name).expected"])
        #expect(stored.elementType == (name == "half" ? .float16 : .bfloat16))
        #expect(stored.float32Values().map(\.bitPattern) == expected.float32Values().map(\.bitPattern))
        #expect(stored.firstNonFinite == nil)
    }

    @Test("float32 reads as it is, and again after its pages are released")
    func released() throws {
        let stored = try #require(file.tensors["single"])
        let values = stored.float32Values()
        #expect(values.count == 15)
        stored.releasePages()
        #expect(stored.float32Values() == values)
        #expect(stored.reshaped([15, 1]).float32Values() == values)
        let rounded = try #require(file.tensors["rounded.half"]).float32Values()
        #expect(zip(values, rounded).allSatisfy { abs($0 - $1) <= abs($0) * 0x1p-11 })
    }
}
