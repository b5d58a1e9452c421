import Failures
import Foundation
import TensorKernels
import Testing

@Suite("Writing safetensors files")
struct SafetensorsWritingTests {
    let scratch: SafetensorsScratch

    init() throws { scratch = try SafetensorsScratch() }

    @Test("what is written is read, in the order given")
    func roundTrip() throws {
        let path = scratch.path("out.safetensors")
        let tensors = [
            StoredTensor(name: "b\"\\\n\u{1}é😀", shape: [2, 2], values: [1, -2, .pi, 0]),
            StoredTensor(name: "a", shape: [], values: [0.1]),
            StoredTensor(name: "none", shape: [3, 0], values: []),
            StoredTensor(placeholder: "zeros", shape: [5]),
        ]
        try SafetensorsWriter.write(to: path, tensors, metadata: ["key\t": "value", "a": "b"])
        let file = try SafetensorsFile(path: path)
        #expect(file.metadata == ["key\t": "value", "a": "b"])
        #expect(file.tensors.count == 4)
        for tensor in tensors {
            #expect(file.tensors[tensor.name]?.shape == tensor.shape)
            #expect(file.tensors[tensor.name]?.float32Values() == tensor.float32Values())
        }
        #expect(scratch.names == ["out.safetensors"])
        // The tensors begin at a multiple of 8, so that they can be read where they lie.
        let bytes = try Data(contentsOf: scratch.folder.appending(path: "out.safetensors"))
        #expect(bytes[0] % 8 == 0)
        // A file's own tensors, in their own types, can be written on.
        try SafetensorsWriter.write(to: path, Array(file.tensors.values))
        #expect(try SafetensorsFile(path: path).tensors.count == 4)
    }

    @Test("float32 is rounded to 16 bits as Swift's Float16 rounds, and to bfloat16's nearest")
    func rounding() throws {
        var values: [Float] = [
            0, -0.0, 1, 65504, 65519.99, 65520, 1e9, -.infinity, .nan, 6e-8, 2.9e-8, 2.98023224e-8, 1e-30,
        ]
        // Every exponent, with mantissas around the places where rounding changes.
        for exponent in stride(from: UInt32(90) << 23, to: 150 << 23, by: 1 << 23) {
            for mantissa: UInt32 in [0, 0xfff, 0x1000, 0x1001, 0x2fff, 0x3000, 0x3001, 0x7fefff, 0x7ff000, 0x7fffff] {
                values += [Float(bitPattern: exponent | mantissa), Float(bitPattern: 1 << 31 | exponent | mantissa)]
            }
        }
        let path = scratch.path("halves.safetensors")
        let declarations = [StoredElementType.float16, .bfloat16].map {
            TensorDeclaration(name: $0.rawValue, elementType: $0, shape: [values.count])
        }
        try SafetensorsWriter.write(to: path, declarations) { payload in
            for _ in declarations {
                // In two pieces.
                try payload.append(Array(values[..<7]))
                try payload.append(Array(values[7...]))
            }
        }
        let file = try SafetensorsFile(path: path)
        let halves = try #require(file.tensors["F16"]).float32Values()
        let brains = try #require(file.tensors["BF16"]).float32Values()
        for (index, value) in values.enumerated() {
            if value.isNaN {
                #expect(halves[index].isNaN && brains[index].isNaN)
            } else {
                #expect(halves[index].bitPattern == Float(Float16(value)).bitPattern, "\(value)")
                // Half the distance to bfloat16's next number, which has 8 bits of precision.
                #expect(!value.isFinite || abs(brains[index] - value) <= value.magnitude * 0x1p-8, "\(value)")
            }
        }
    }

    @Test("the first NaN or infinity is found in each type, at any place")
    func nonFinite() throws {
        for elementType in [StoredElementType.float32, .float16, .bfloat16] {
            for (bad, index) in [(Float.nan, 0), (.infinity, 4095), (-.infinity, 4096), (.nan, 9999)] {
                var values = [Float](repeating: 60000, count: 10000)
                values[index] = bad
                values[9999] = bad
                let path = scratch.path("values.safetensors")
                try SafetensorsWriter.write(
                    to: path, [TensorDeclaration(name: "w", elementType: elementType, shape: [10000])]
                ) { try $0.append(values) }
                let tensor = try #require(try SafetensorsFile(path: path).tensors["w"])
                #expect(tensor.firstNonFinite == index)
                #expect(tensor.withUnsafeBytes { containsNonFinite($0, elementType) })
            }
        }
        #expect(StoredTensor(name: "w", shape: [2], values: [1, .greatestFiniteMagnitude]).firstNonFinite == nil)
    }

    @Test("16-bit elements at odd addresses")
    func unaligned() throws {
        // A header of odd length and one byte of another tensor before.
        let header =
            #"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"h":{"dtype":"F16","shape":[2],"data_offsets":[1,5]},"#
            + #""s":{"dtype":"F32","shape":[1],"data_offsets":[5,9]}}"#
        for padding in ["", " "] {
            let bytes = SafetensorsScratch.bytes(
                header: header + padding, data: [7, 0x00, 0x3c, 0x00, 0xc0, 0, 0, 0x80, 0x3f])
            let file = try SafetensorsFile(path: try scratch.write(bytes))
            #expect(file.tensors["h"]?.float32Values() == [1, -2])
            #expect(file.tensors["h"]?.firstNonFinite == nil)
            #expect(file.tensors["s"]?.float32Values() == [1])
        }
    }

    @Test("a write that fails leaves nothing")
    func failing() throws {
        struct Stop: Error {}
        let declarations = [TensorDeclaration(name: "w", elementType: .float32, shape: [4])]
        #expect(throws: Stop.self) {
            try SafetensorsWriter.write(to: scratch.path("out.safetensors"), declarations) { payload in
                try payload.append([1, 2])
                throw Stop()
            }
        }
        #expect(scratch.names == [])
        let error = try #require(throws: Failure.self) {
            try SafetensorsWriter.write(to: scratch.path("no/folder.safetensors"), [])
        }
        #expect(error.kind == .inputOutput)
    }
}
