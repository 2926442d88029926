#pragma once
class listed;  // vocab/listed.hpp; the concept MmLock stands in lock/mm_lock.hpp
